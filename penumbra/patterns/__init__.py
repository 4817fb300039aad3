"""Building blocks of experiments: what `problem/candidates.py` composes, as `penumbra/features.py` is to `problem/features.py`."""
