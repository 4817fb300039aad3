"""Retraining policies played over history and compared."""
