"""The analysis of data: dialect, dtypes, ranges, target, time, key and leaks, each with the reason."""
