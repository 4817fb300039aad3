"""The tests of your problem: they read `problem/` and `settings.toml` and try both on the newest batches of the source.

They need no editing, and a team adds its own beside them. `pytest problem_tests` runs them, in a process of their own.
"""
