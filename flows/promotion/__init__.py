"""What `promote` is made of: two versions weighed, the case that this makes, what it moves."""
