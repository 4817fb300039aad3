"""The realised loss of a window: its mean, its threshold, and the slices where it has risen."""
