"""The OpenAPI document of the service."""

from typing import Any

from pydantic import TypeAdapter

from service.messages import Answer, Contract
from service.refusals import Problem

TEMPLATE = "#/components/schemas/{model}"
REFUSALS = {
    "400": "The body is not JSON.",
    "405": "Another method than POST.",
    "413": "More bytes or records than accepted.",
    "415": "The content type is not application/json.",
    "422": "A record breaks the contract: the whole request is refused, the details name each fault.",
    "500": "The service failed.",
    "503": "There is no live model yet.",
}


def document(name: str, contract: Contract) -> dict[str, Any]:
    """OpenAPI 3.1 with an example that works when pasted."""
    return {
        "openapi": "3.1.0",
        "info": {"title": name, "version": contract.version, "description": "Every answer is in the prediction log."},
        "servers": [{"url": "."}],
        "paths": {
            "/predict": {"post": _predict(contract)},
            "/readyz": {"get": _ready()},
            "/livez": {"get": _plain("Is the process alive?")},
            "/healthz": {"get": _plain("Is the process alive?")},
            "/metrics": {"get": _plain("Metrics in Prometheus' format.")},
        },
        "components": {"schemas": _schemas(contract)},
    }


def _predict(contract: Contract) -> dict[str, Any]:
    return {
        "operationId": "predict",
        "summary": "Predict for one record, or for a list of up to " + str(contract.max_records),
        "requestBody": {"required": True, "content": {"application/json": _request(contract)}},
        "responses": {
            "200": _response("The answer, or the answers in the records' order.", _one_or_many("Answer")),
            **{status: _response(text, _ref("Problem")) for status, text in REFUSALS.items()},
        },
    }


def _request(contract: Contract) -> dict[str, Any]:
    examples = {"one": {"value": contract.example}, "list": {"value": [contract.example]}}
    many = {"maxItems": contract.max_records}
    return {"schema": _one_or_many(contract.model.__name__, **many), "examples": examples}


def _ready() -> dict[str, Any]:
    state = {
        "type": "object",
        "required": ["ready"],
        "properties": {
            "ready": {"type": "boolean"},
            "model_version": {"type": "string"},
            "reason": {"type": "string"},
        },
    }
    return {
        "summary": "Can requests be answered and logged?",
        "responses": {"200": _response("Yes.", state), "503": _response("No, for this reason.", state)},
    }


def _plain(summary: str) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": {"description": "Yes.", "content": {"text/plain": {}}}}}


def _response(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _one_or_many(name: str, **limits: int) -> dict[str, Any]:
    return {"oneOf": [_ref(name), {"type": "array", "items": _ref(name), "minItems": 1, **limits}]}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": TEMPLATE.format(model=name)}


def _schemas(contract: Contract) -> dict[str, Any]:
    types: dict[str, Any] = {contract.model.__name__: contract.model, "Answer": Answer, "Problem": Problem}
    made, shared = TypeAdapter.json_schemas(
        [(name, "validation", TypeAdapter(type_)) for name, type_ in types.items()], ref_template=TEMPLATE
    )
    inline = {name: schema for (name, _), schema in made.items() if "$ref" not in schema}
    return {**shared.get("$defs", {}), **inline}
