"""Scores of models with their intervals: trials, slices, groups, comparison of runs, charts."""
