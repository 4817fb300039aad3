"""What reviewed rows say: error rates of all rows, agreement, the queue at a glance."""
