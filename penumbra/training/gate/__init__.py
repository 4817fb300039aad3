"""The gate before the shadow: its checks of a candidate, alone and beside another model."""
