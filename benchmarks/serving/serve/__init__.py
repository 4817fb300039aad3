"""What serving costs: latency, throughput, footprint, isolation of the live path."""
