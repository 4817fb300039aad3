"""Loading of the project: `problem/`, what stands for what it leaves out, and that settings fit it."""
