"""What `monitor` is made of: the windows that are due, what they show, who is told, what follows."""
