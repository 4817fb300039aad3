"""Drift of a window's columns and predictions away from the model's own reference."""
