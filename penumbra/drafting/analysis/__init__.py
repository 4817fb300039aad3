"""The analysis of data: target, time, key, leaks, contracts and roles of columns, each with the reason."""
