"""The options of a request: what its query asks for beside the answer. One that isn't known is refused, not ignored."""

from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl

from penumbra.core.text.faulty_values import format_shown_value
from service.http.refusals import MAX_DETAILS, Fault, RequestRefused

OPTION_VALUES = {"true": True, "false": False}


def read_options(query: bytes, known: Mapping[str, str]) -> frozenset[str]:
    """Read the options of a request.

    Args:
        query: The query of its URL, as it was sent, without the question mark.
        known: What each option asks for, by name.

    Returns:
        The names of the options that are true.

    Raises:
        RequestRefused: 422, the details name options that are unknown, given twice, or neither true nor false.
    """
    if not query:
        return frozenset()
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, errors="replace")
    if faults := list(_find_faults(pairs, known)):
        listed = "" if len(faults) <= MAX_DETAILS else f"; listed are {MAX_DETAILS} of them"
        words = f"the query has {len(faults)} fault{'s' * (len(faults) > 1)}{listed}"
        raise RequestRefused(422, words, faults[:MAX_DETAILS])
    return frozenset(name for name, value in pairs if OPTION_VALUES[value])


def _find_faults(pairs: list[tuple[str, str]], known: Mapping[str, str]) -> Iterator[Fault]:
    seen: set[str] = set()
    for name, value in pairs:
        fault: Fault = {"field": name, "value": format_shown_value(value), "expected": "true or false"}
        if name not in known:
            yield {
                **fault,
                "expected": f"one of the options {', '.join(known)}" if known else "no option: there are none",
            }
        elif name in seen:
            yield {**fault, "expected": "each option once"}
        elif value not in OPTION_VALUES:
            yield fault
        seen.add(name)
