"""Checks of data and features before training: leakage, lifeless features, keys, order of time."""
