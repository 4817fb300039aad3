"""Small logs of predictions, labels, reviews and the shadow."""
