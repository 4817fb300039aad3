"""What is predicted, from what: the one folder that a user of the template edits."""
