"""What `replay` is made of: the stage, the days and what is done to them, the saboteur, the story at the end."""
