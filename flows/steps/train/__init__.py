"""What `train` and `experiment` are made of: matrices, candidates, the gate, the record of a run."""
