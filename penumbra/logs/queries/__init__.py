"""Queries to the logs and their index, one module a subject."""
