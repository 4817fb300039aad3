"""The loss of a window without its labels: density ratio of its inputs, expected losses of its rows, and their band."""
