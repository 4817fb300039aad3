"""The error of the loss estimated without labels."""
