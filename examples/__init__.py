"""Other problems: each folder can be copied over `problem/` as it is."""
