"""Logs of many replicas: each ships its closed segments to what they share, and readers fetch those of the others."""
