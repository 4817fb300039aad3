"""Errors of libraries in the words of a message, and those of ours that another attempt doesn't mend."""

from penumbra.core.text.masking import mask_text

MAX_ERROR_LENGTH = 1_000

USER_ERRORS = (Exception, SystemExit)  # whatever the user's functions and estimators do


class LastingRefusal(ValueError):
    """What the same code, settings and data would be refused for again, however often it is tried."""


def describe_error(error: Exception) -> str:
    """Describe an error on one line.

    Args:
        error: An error, whose text may have many lines, as those of polars have.

    Returns:
        Its type, and the first line of its text, cut to 1,000 characters, in which passwords in addresses are masked.
    """
    return f"{type(error).__name__}: {mask_text(str(error).partition(chr(10))[0])[:MAX_ERROR_LENGTH]}"


def ensure_exception(error: BaseException) -> Exception:
    """Return an error as one that ends no program.

    Args:
        error: One of `USER_ERRORS`.

    Returns:
        The error, or in place of one that ends the program another one that names it.
    """
    return error if isinstance(error, Exception) else RuntimeError(repr(error))
