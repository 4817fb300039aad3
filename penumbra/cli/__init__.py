"""The command line: `penumbra` and its commands. What they need is imported when one of them runs."""
