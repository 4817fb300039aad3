"""The order of work. A step is: load, call, record, next."""
