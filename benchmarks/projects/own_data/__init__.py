"""Whole problems that aren't the example, and the whole loop run on each of them."""
