"""What waits for people as a table, and for machines."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from penumbra.approvals.requests import ApprovalRequest
from penumbra.core.text.quoting import shorten_text
from penumbra.core.text.tables import format_table

MAX_SHOWN_LENGTH = 90


def format_requests(requests: Sequence[ApprovalRequest]) -> str:
    """Format requests as a table.

    Args:
        requests: The requests, oldest first.

    Returns:
        A line for each; a sentence where there is none.
    """
    return format_table(pl.DataFrame([_build_row(each) for each in requests])) if requests else "Nothing waits."


def describe_request(request: ApprovalRequest) -> dict[str, Any]:
    """Describe a request for machines.

    Args:
        request: The request.

    Returns:
        "entry", "kind", "status", "needed", "until" (ISO 8601, None for ever), "choices" (by name), "versions" and
        "what".
    """
    return {
        "entry": request.number,
        "kind": request.kind,
        "status": request.status,
        "needed": request.needed,
        "until": request.terms and request.terms.expires and request.terms.expires.isoformat(),
        "choices": request.choices,
        "versions": request.entry.versions,
        "what": str(request),
    }


def _build_row(request: ApprovalRequest) -> dict[str, str]:
    return {
        "entry": str(request.number),
        "kind": request.kind,
        "status": request.status,
        "answers": ", ".join(f"{name}: {choice}" for name, choice in request.choices.items()) or "-",
        "needed": str(request.needed),
        "until": request.expiry or "-",
        "what": shorten_text(str(request), MAX_SHOWN_LENGTH),
    }
