"""Exchange with Label Studio: cases as its tasks, a labelling configuration, and its annotations as answers."""
