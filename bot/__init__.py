"""学法机器人: law study, quizzes and study hours in the chat."""
