"""The client has what the service's OpenAPI document has, part by part, and nothing that it lacks."""

import inspect
import types
import typing
from typing import Any

import msgspec
import pytest

from penumbra.client import AsyncClient, Client, operations, responses, tables
from penumbra.client.errors import ERROR_BY_OTHER_STATUS, ERROR_BY_STATUS
from tests.helpers.servers import local_service
from tests.service.test_multiclass_and_regression import problem

SAME_AS_LIVEZ = ("GET", "/healthz")
SCHEMA_BY_TYPE = {
    responses.PredictResponse: "Answer",
    responses.FeedbackResponse: "Accepted",
    responses.ReviewResponse: "Review",
    responses.ExplanationResponse: "ExplanationBody",
    responses.FeatureAttribution: "AttributionBody",
    responses.UncertaintyResponse: "Uncertainty",
    responses.ProblemBody: "Problem",
    responses.ProblemDetail: "Fault",
}
JSON_TYPES = {str: "string", bool: "boolean", float: "number", int: "integer", tuple: "array", dict: "object"}

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The document of each task's service."""
    settings = local_service.make_service_settings(tmp_path_factory.mktemp("documents"))
    problems = {
        "binary": local_service.PROBLEM,
        "multiclass": problem("species"),
        "regression": problem("wingspan"),
    }
    return {task: local_service.build_service(settings, each).inner.document for task, each in problems.items()}


@pytest.fixture(scope="module")
def document(documents: dict[str, Any]) -> dict[str, Any]:
    return documents["binary"]


def list_document_operations(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}


def test_each_path_has_its_operation_and_the_other_way_round(document: dict[str, Any]) -> None:
    known = {
        value
        for name, value in vars(operations).items()
        if name.isupper() and isinstance(value, tuple) and value[0] in ("GET", "POST")
    }
    assert list_document_operations(document) == {*known, SAME_AS_LIVEZ}


def test_each_parameter_of_a_prediction_can_be_given(document: dict[str, Any]) -> None:
    parameters = document["paths"]["/predict"]["post"]["parameters"]
    headers = {each["name"].lower() for each in parameters if each["in"] == "header"}
    options = {each["name"] for each in parameters if each["in"] == "query"}
    made = operations.Operations(Client("http://x")._operations.policy, 1, 1000)
    exchange = made.predict({}, "k", dict.fromkeys(options, True))
    part = made.predict_parts("k", {}).make_exchange(operations.RecordPart(1, [b"{}"], is_last=True))
    assert headers <= exchange.headers.keys() | part.headers.keys()
    assert set(exchange.path.partition("?")[2].split("&")) - {""} == {f"{name}=true" for name in options}


@pytest.mark.parametrize("path", ["/predict", "/feedback"])
def test_each_form_of_bodies_can_be_sent(document: dict[str, Any], path: str) -> None:
    operation = document["paths"][path]["post"]
    forms = {operations.JSON_HEADERS["content-type"], tables.ARROW_MEDIA_TYPE}
    assert operation["requestBody"]["content"].keys() == operation["responses"]["200"]["content"].keys() == forms


def test_each_refusal_has_its_exception_and_the_other_way_round(document: dict[str, Any]) -> None:
    statuses = {
        int(status)
        for methods in document["paths"].values()
        for operation in methods.values()
        for status in operation["responses"]
    }
    assert statuses - {200} == ERROR_BY_STATUS.keys()
    assert not ERROR_BY_STATUS.keys() & ERROR_BY_OTHER_STATUS.keys()


@pytest.mark.parametrize("type_", SCHEMA_BY_TYPE)
def test_each_field_of_an_answer_is_an_attribute_of_the_same_type(documents: dict[str, Any], type_: type) -> None:
    schemas = [each["components"]["schemas"][SCHEMA_BY_TYPE[type_]] for each in documents.values()]
    fields = {field.name: field for field in msgspec.structs.fields(type_)}
    assert fields.keys() == {name for schema in schemas for name in schema["properties"]}
    required = set.intersection(*(set(schema["required"]) for schema in schemas))
    assert {name for name, field in fields.items() if field.required} <= required
    for schema in schemas:
        for name, described in schema["properties"].items():
            assert list_schema_types(described) <= list_field_types(fields[name].type), name


def test_readiness_has_the_documents_fields(document: dict[str, Any]) -> None:
    schema = document["paths"]["/readyz"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema["properties"].keys() == {field.name for field in msgspec.structs.fields(responses.ReadinessResponse)}


def test_the_asynchronous_client_has_the_same_methods(document: dict[str, Any]) -> None:
    def list_methods(client: type) -> dict[str, list[str]]:
        methods = {name: method for name, method in vars(client).items() if not name.startswith("_")}
        return {name: list(inspect.signature(method).parameters) for name, method in methods.items()}

    assert list_methods(Client) == list_methods(AsyncClient)
    assert all(
        inspect.iscoroutinefunction(getattr(AsyncClient, name)) or name == "predict_stream"
        for name in list_methods(Client)
    )


def list_field_types(type_: Any) -> set[str]:
    """The types in JSON that an attribute's type takes."""
    if isinstance(type_, types.UnionType):
        return {name for each in typing.get_args(type_) for name in list_field_types(each)}
    if type_ is types.NoneType:
        return {"null"}
    origin = typing.get_origin(type_) or type_
    if isinstance(origin, type) and issubclass(origin, msgspec.Struct):
        return {"object"}
    return {JSON_TYPES.get(origin, "string")}


def list_schema_types(schema: dict[str, Any]) -> set[str]:
    """The types in JSON of a schema."""
    if "anyOf" in schema:
        return {name for each in schema["anyOf"] for name in list_schema_types(each)}
    if "$ref" in schema:
        return {"object"}
    return {schema.get("type", "string")}
