"""The OpenAPI document of the service."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from service.http.refusals import ErrorBody
from service.http.requests.arrow_body import ARROW_MEDIA_TYPE
from service.http.requests.feedback import Accepted
from service.http.requests.idempotency_key import SENT_KEY_PATTERN
from service.http.requests.record_reader import Contract, RecordDict, RecordReader

REF_TEMPLATE = "#/components/schemas/{model}"
GUARD_RESPONSES = {
    "401": "There is no valid key.",
    "403": "The key is for something else, or no keys are set and this is another machine.",
    "429": "Too many requests are under way.",
}
REFUSAL_RESPONSES = GUARD_RESPONSES | {
    "400": "The body is not JSON.",
    "405": "Another method than POST.",
    "413": "More bytes or records than accepted.",
    "415": "The content type is neither JSON nor Arrow's.",
    "422": "A record breaks the contract, a rule refuses it, an option can't be granted, or the key is another's.",
    "500": "The service failed.",
}
CONFLICT_RESPONSE = {
    "409": "A request with the same idempotency key is under way, or was answered by a version that is gone."
}
NO_MODEL_RESPONSE = {"503": "There is no live model yet, or it took too long."}
NO_LOG_RESPONSE = {"503": "The label log can't be written, or it took too long."}
NO_LOOK_UP_RESPONSE = {
    "405": "Another method than GET.",
    "503": "The store of other replicas' answers is away, too many look-ups are under way, or it took too long.",
}
ID_PARAMETER = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string"},
    "description": "A prediction's id.",
}
KEY_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": SENT_KEY_PATTERN},
    "description": "A repeated request with the same key, such as a UUID, gets the first one's answer.",
}
RANGE_PARAMETER = {
    "name": "Content-Range",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "With a key: which records of a list that is sent in several requests these are, such as "
    "`records 0-9999/*`, or `records 10000-12344/12345` where it ends. The same records as a list of their own, or as "
    "another part, are another request.",
}
ARROW_SCHEMA = {
    "type": "string",
    "format": "binary",
    "description": "A list: an Arrow IPC stream without compression, with the columns of the records.",
}
API_KEY_SCHEME = {"type": "http", "scheme": "bearer", "description": "Where keys are set; the probes need none."}


def build_openapi_document(
    name: str,
    contract: Contract,
    answer: Any,
    review: Any,
    labels: RecordReader,
    label_examples: Sequence[RecordDict],
    options: Mapping[str, str],
) -> dict[str, Any]:
    """Build the OpenAPI 3.1 document of the service, with examples that work when pasted.

    Args:
        name: The service's name, used as title.
        contract: The reader of records; its version becomes that of the document.
        answer: The type of an answer to one record.
        review: The type of what has become of a deferred answer.
        labels: The reader of labels.
        label_examples: Examples of labels.
        options: What each option of a prediction's query asks for, by name.

    Returns:
        The document as JSON-compatible values.
    """
    return {
        "openapi": "3.1.0",
        "info": {"title": name, "version": contract.version, "description": "Every answer is in the prediction log."},
        "servers": [{"url": "."}],
        "security": [{"key": []}, {}],
        "paths": {
            "/predict": {"post": _predict(contract, options)},
            "/feedback": {"post": _feedback(labels, label_examples)},
            "/explain/{id}": {"get": _explain()},
            "/reviews/{id}": {"get": _review()},
            "/readyz": {"get": _ready()},
            "/livez": {"get": _plain("Is the process alive?")},
            "/healthz": {"get": _plain("Is the process alive?")},
            "/metrics": {"get": _plain("Metrics in Prometheus' format.", **GUARD_RESPONSES)},
        },
        "components": {
            "securitySchemes": {"key": API_KEY_SCHEME},
            "schemas": _schemas(answer, review, contract, labels),
        },
    }


def _predict(contract: Contract, options: Mapping[str, str]) -> dict[str, Any]:
    return {
        "operationId": "predict",
        "summary": "Predict for one record, or for a list of up to " + str(contract.max_records),
        "parameters": [KEY_PARAMETER, RANGE_PARAMETER, *(_option(name, words) for name, words in options.items())],
        "requestBody": _request(contract, {"one": contract.example, "list": [contract.example]}),
        "responses": {
            "200": _answers("The answer, or the answers in the records' order.", "Answer"),
            **_refusals(REFUSAL_RESPONSES | CONFLICT_RESPONSE | NO_MODEL_RESPONSE),
        },
    }


def _feedback(labels: RecordReader, examples: Sequence[RecordDict]) -> dict[str, Any]:
    return {
        "operationId": "feedback",
        "summary": "Report what happened, for one prediction or row, or for a list of up to " + str(labels.max_records),
        "requestBody": _request(
            labels, {**{f"label {n}": example for n, example in enumerate(examples)}, "list": examples}
        ),
        "responses": {
            "200": _answers("In the label log, in the labels' order.", "Accepted"),
            **_refusals(REFUSAL_RESPONSES | NO_LOG_RESPONSE),
        },
    }


def _explain() -> dict[str, Any]:
    return {
        "operationId": "explain",
        "summary": "Where an answer came from: model version, run, settings, revision, data, and its labels.",
        "parameters": [ID_PARAMETER],
        "responses": {
            "200": _response("The chain.", {"type": "object", "required": ["prediction", "model", "labels"]}),
            **_refusals(GUARD_RESPONSES | NO_LOOK_UP_RESPONSE | {"404": "There is no such prediction."}),
        },
    }


def _review() -> dict[str, Any]:
    unknown = {"404": "There is no such prediction, or it wasn't left to people."}
    return {
        "operationId": "review",
        "summary": "What has become of an answer that people decide.",
        "parameters": [ID_PARAMETER],
        "responses": {
            "200": _response("What people, or the default, decided, or that it is pending.", _ref("Review")),
            **_refusals(GUARD_RESPONSES | NO_LOOK_UP_RESPONSE | unknown),
        },
    }


def _option(name: str, words: str) -> dict[str, Any]:
    schema = {"type": "boolean", "default": False}
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": words}


def _request(reader: RecordReader, examples: dict[str, Any]) -> dict[str, Any]:
    schema = _one_or_many(reader.model.__name__, maxItems=reader.max_records)
    content = {"schema": schema, "examples": {name: {"value": value} for name, value in examples.items()}}
    arrow = {ARROW_MEDIA_TYPE.decode(): {"schema": ARROW_SCHEMA}}
    return {"required": True, "content": {"application/json": content, **arrow}}


def _refusals(texts: Mapping[str, str]) -> dict[str, Any]:
    return {status: _response(text, _ref("Problem")) for status, text in texts.items()}


def _ready() -> dict[str, Any]:
    state = {
        "type": "object",
        "required": ["ready"],
        "properties": {
            "ready": {"type": "boolean"},
            "model_version": {"type": "string"},
            "reason": {"type": "string"},
            "canary": {"type": "string"},
        },
    }
    return {
        "summary": "Can requests be answered and logged?",
        "responses": {"200": _response("Yes.", state), "503": _response("No, for this reason.", state)},
    }


def _plain(summary: str, **refusals: str) -> dict[str, Any]:
    responses = {"200": {"description": "Yes.", "content": {"text/plain": {}}}, **_refusals(refusals)}
    return {"summary": summary, "responses": responses}


def _response(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _answers(description: str, name: str) -> dict[str, Any]:
    arrow = {"type": "string", "format": "binary", "description": "Of a list, where that is accepted: a row an answer."}
    content = {"application/json": {"schema": _one_or_many(name)}, ARROW_MEDIA_TYPE.decode(): {"schema": arrow}}
    return {"description": description, "content": content}


def _one_or_many(name: str, **limits: int) -> dict[str, Any]:
    return {"oneOf": [_ref(name), {"type": "array", "items": _ref(name), "minItems": 1, **limits}]}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": REF_TEMPLATE.format(model=name)}


def _schemas(answer: Any, review: Any, *readers: RecordReader) -> dict[str, Any]:
    types: dict[str, Any] = {"Answer": answer, "Review": review, "Accepted": Accepted, "Problem": ErrorBody}
    types |= {reader.model.__name__: reader.model for reader in readers}
    schemas, shared = TypeAdapter.json_schemas(
        [(name, "validation", TypeAdapter(type_)) for name, type_ in types.items()], ref_template=REF_TEMPLATE
    )
    definitions = shared.get("$defs", {})
    named = {
        name: definitions.pop(schema["$ref"].rpartition("/")[2]) if "$ref" in schema else schema
        for (name, _), schema in schemas.items()
    }
    return {**definitions, **named}
