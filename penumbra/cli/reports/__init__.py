"""What the commands that only read print."""
