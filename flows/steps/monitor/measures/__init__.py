"""The measures of a window: faults, drift, losses and their limits, as its record has them before the verdict."""
