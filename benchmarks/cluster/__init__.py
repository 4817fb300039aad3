"""Benchmarks of several machines."""
