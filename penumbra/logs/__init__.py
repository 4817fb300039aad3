"""Append-only logs of predictions, labels and shadow answers, their archive, and the index that joins them."""
