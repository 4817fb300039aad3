"""Building blocks of experiments: what `problem/candidates.py` composes, as `kinds.py` is to `problem/features.py`."""
