"""The review page: one row at a time, what people need to judge it, and their answers."""
