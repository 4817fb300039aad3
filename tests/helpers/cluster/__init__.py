"""Clusters on this machine, and what they lose."""
