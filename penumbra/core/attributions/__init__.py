"""Feature attributions: exact Shapley values of tree ensembles and linear models, computed from plain arrays."""
