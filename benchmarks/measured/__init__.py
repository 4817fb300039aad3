"""What the benchmarks measured: a file, the page and the pictures that are made of it."""
