"""What nothing is learnt from: days with data faults, and rows without an outcome."""
