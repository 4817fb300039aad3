"""The reading of data that nobody has described: dialect, names, how each column is read, what all rows say of it."""
