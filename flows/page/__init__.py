"""What `overview` and the dashboard show."""
