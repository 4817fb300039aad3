"""Answers as an Arrow IPC stream, for those who accept one."""

import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from service.http.requests.arrow_body import ARROW_MEDIA_TYPE

NO_WEIGHT = re.compile(rb"q\s*=\s*0(\.0*)?")


def accepts_arrow(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Tell whether a request accepts an Arrow IPC stream.

    Args:
        headers: Its headers, with names in lower case.

    Returns:
        Whether `Accept` names the media type, in any case, and not with the weight 0.
    """
    accepted = [value.lower() for name, value in headers if name == b"accept"]
    for choice in b",".join(accepted).split(b",") if accepted else ():
        media_type, *parameters = (part.strip() for part in choice.split(b";"))
        if media_type == ARROW_MEDIA_TYPE:
            return not any(map(NO_WEIGHT.fullmatch, parameters))
    return False


def encode_arrow(answers: Sequence[Mapping[str, Any]]) -> bytes:
    """Encode answers as an Arrow IPC stream.

    Args:
        answers: The answers by field.

    Returns:
        The stream, of one row for each answer; a field that one lacks is null. A column has one dtype, so the values of
        features in explanations are text, whatever they are.
    """
    stream = io.BytesIO()
    frame = pl.DataFrame([_write_values(answer) for answer in answers], infer_schema_length=None, strict=False)
    frame.write_ipc_stream(stream, compression="uncompressed", compat_level=pl.CompatLevel.oldest())
    return stream.getvalue()


def _write_values(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    if not (explanation := answer.get("explanation")):
        return answer
    attributions = [{**each, "value": _write_value(each["value"])} for each in explanation["attributions"]]
    return {**answer, "explanation": {**explanation, "attributions": attributions}}


def _write_value(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, default=str).strip('"')
