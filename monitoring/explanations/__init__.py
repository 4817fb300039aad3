"""Explanation of a window: which columns shifted and since when, and what the rise of the loss is made of."""
