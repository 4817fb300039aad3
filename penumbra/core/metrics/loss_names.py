"""The names of losses, as `promotion.loss` has them; each is also the name of the metric that is its mean over rows."""

import re
from decimal import Decimal

AUTO_LOSS = "auto"
CLASS_LOSSES = ("log_loss", "brier")
NUMBER_LOSSES = ("squared_error", "absolute_error")
QUANTILE_NAME = re.compile(r"quantile_(0?\.[0-9]+)")
"""A quantile loss carries its level, above 0 and below 1."""
QUANTILE_EXAMPLE = "quantile_0.9"
LOSS_WORDS = {
    "log_loss": "log-loss",
    "brier": "Brier score",
    "squared_error": "squared error",
    "absolute_error": "absolute error",
}


def read_quantile_level(name: str) -> float | None:
    """Read the level of a quantile loss from its name.

    Args:
        name: The name of a loss, such as "quantile_0.9".

    Returns:
        The level, above 0 and below 1; None for a name of another loss, or of none.
    """
    found = QUANTILE_NAME.fullmatch(name)
    level = float(found[1]) if found else 0.0
    return level if 0 < level < 1 else None


def describe_loss_name(name: str) -> str:
    """Describe a loss in words.

    Args:
        name: Its name.

    Returns:
        Such as "log-loss", or "quantile loss (0.9)".
    """
    level = read_quantile_level(name)
    return LOSS_WORDS[name] if level is None else f"quantile loss ({level:g})"


def require_loss_name(name: str) -> str:
    """Require the name of a loss, or "auto".

    Args:
        name: The value of `promotion.loss`.

    Returns:
        The name in its one spelling, such as "quantile_0.5" where the level is written .5 or 0.50.

    Raises:
        ValueError: It is neither; says what is.
    """
    if name in (AUTO_LOSS, *CLASS_LOSSES, *NUMBER_LOSSES):
        return name
    if (level := read_quantile_level(name)) is not None:
        return f"quantile_{Decimal(repr(level)):f}"
    raise ValueError(f"expected for classes: {list_loss_choices(True)}; for numbers: {list_loss_choices(False)}")


def list_loss_choices(has_classes: bool) -> str:
    """List what `promotion.loss` may be, in words.

    Args:
        has_classes: Whether classes are predicted; numbers otherwise.

    Returns:
        Such as "auto, log_loss or brier".
    """
    if has_classes:
        return f"{', '.join((AUTO_LOSS, *CLASS_LOSSES[:-1]))} or {CLASS_LOSSES[-1]}"
    return f"{', '.join((AUTO_LOSS, *NUMBER_LOSSES))} or {QUANTILE_EXAMPLE} (or another level between 0 and 1)"
