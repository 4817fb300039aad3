"""Runs of records through a version's rules and its model: one by one, in lists, and in frames."""
