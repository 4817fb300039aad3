"""Servers and processes of the tests' own."""
