"""The command line: what `penumbra` and its subcommands do."""
