"""Live contests: the host's hand (`host`), the players (`play`), the stage (`stakes`), the clock (`tick`), boards (`results`), pages (`show`)."""
