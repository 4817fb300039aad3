"""A row's model inputs."""

from examples.weather import FEATURES

__all__ = ["FEATURES"]
