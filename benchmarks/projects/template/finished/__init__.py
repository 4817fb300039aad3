"""Projects on data of their own, as a person finishes them by hand: what differs from the generated empty one."""
