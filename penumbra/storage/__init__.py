"""Building blocks of state on disk: atomic writes, locks, SQLite, caches and journals, each once."""
