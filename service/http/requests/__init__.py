"""What is done with a request: records are read, gathered and looked up, labels taken in, and answers built."""
