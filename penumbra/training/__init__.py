"""The logic of experiments: arrays and frames in, fitted models, numbers and pictures out. No state."""
