"""Bundles: the folders with all that serving needs of one model version, sealed and signed."""
