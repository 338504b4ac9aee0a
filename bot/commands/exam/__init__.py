"""Chat commands for exams: taking, reviewing and managing them."""
