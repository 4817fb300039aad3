"""Metrics of predictions, each defined once: losses by row, scores, calibration, curves, distances of distributions.

Labels and predictions have the shapes of the task, see penumbra/core/task.py.
"""
