"""What several benchmarks use: processes measured, the later flights, rates of rare events."""
