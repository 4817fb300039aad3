"""Raw batches: contract checks, quarantine, partitions, and their versions in DVC."""
