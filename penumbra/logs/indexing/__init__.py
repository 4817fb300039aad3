"""The index of the logs: its tables, and the parsers that fill them from lines."""
