"""Tables in files: where they lie, how CSV and Parquet are read, and which of their rows belong to which period."""
