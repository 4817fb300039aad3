"""How the cost of a row and the memory of each stage grow with the number of rows."""
