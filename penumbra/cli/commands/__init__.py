"""The commands of `penumbra`, a module for each part of the loop. These modules import click and nothing heavy."""
