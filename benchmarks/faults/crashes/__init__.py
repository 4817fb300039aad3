"""Processes that are killed at every step of an operation, and what is there after it runs again."""
