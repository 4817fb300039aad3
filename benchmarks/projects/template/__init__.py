"""What it takes from this repository to a project that predicts: files and lines that a person edits, and seconds."""
