"""What the rows of a day add up to: frames of the logs, profiles, sums of outcomes."""
