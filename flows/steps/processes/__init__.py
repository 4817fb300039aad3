"""How flows run: forks, tasks side by side, pods, and the locks that keep flows apart."""
