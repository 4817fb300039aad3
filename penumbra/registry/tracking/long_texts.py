"""Parameters and tags that are too long for MLflow: it keeps a digest, and an artifact of the run the whole text.

MLflow cuts a parameter at 6,000 characters, a database refuses a tag of more than 8,000.
"""

import hashlib
import re
from collections.abc import Mapping

MAX_TEXT_LENGTH = 5000
SHOWN_LENGTH = 60
LONG_TEXT_PATTERN = re.compile(r"… \([\d,]+ characters, sha256 [0-9a-f]{12}, whole in (?P<path>long/\S+\.txt)\)$")


def shorten_texts(texts: Mapping[str, str], kind: str) -> tuple[dict[str, str], dict[str, str]]:
    """Shorten the texts that MLflow can't keep.

    Args:
        texts: Texts by name.
        kind: What they are, "params" or "tags".

    Returns:
        The texts by name, of long ones the beginning with a digest and the artifact that has all of it; and by artifact
        path the long texts.
    """
    long = {name: f"long/{kind}/{name}.txt" for name, text in texts.items() if len(text) > MAX_TEXT_LENGTH}
    short = {name: _describe_text(text, long[name]) if name in long else text for name, text in texts.items()}
    return short, {path: texts[name] for name, path in long.items()}


def find_long_text(text: str) -> str:
    """Find where the whole of a text is.

    Args:
        text: The value of a parameter or tag.

    Returns:
        The artifact path in its run; "" if the value is the whole.
    """
    found = LONG_TEXT_PATTERN.search(text)
    return found["path"] if found else ""


def _describe_text(text: str, path: str) -> str:
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return f"{text[:SHOWN_LENGTH]}… ({len(text):,} characters, sha256 {digest}, whole in {path})"
