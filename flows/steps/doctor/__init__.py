"""The doctor's examination of data, features and the running service."""
