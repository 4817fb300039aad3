"""What becomes of a part of a table: its rows are read, checked and scored, and what becomes of them is counted."""
