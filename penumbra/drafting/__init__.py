"""From data to a first `problem/`: the analysis of the data, and the files that are written from it."""
