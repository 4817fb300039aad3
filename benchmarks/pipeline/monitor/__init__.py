"""What monitoring and its reports cost."""
