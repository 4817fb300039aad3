"""The measures as they are, and one of them beside another."""

from penumbra.features import Difference, Number

from .schema import MEASURES

FEATURES = (*(Number(f"mean {name}") for name in MEASURES), Difference("mean perimeter", "mean radius"))
