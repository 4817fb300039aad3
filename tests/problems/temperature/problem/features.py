"""A row's model inputs."""

from tests.problems.weather import FEATURES

__all__ = ["FEATURES"]
