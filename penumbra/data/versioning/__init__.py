"""Data versions: what the data folder holds, by DVC's checksums, and where each version is kept."""
