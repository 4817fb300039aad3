"""The logic of watching: frames and arrays in, frozen dataclasses out, no state."""
