"""Evidently reports on a window, and the workspace that keeps them."""
