"""Faults of the data: of one day's rows, of how many arrive, and what is expected of both."""
