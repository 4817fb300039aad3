"""Readers of request bodies: the problem's contract as a pydantic model, with a fast parser in front of it."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import dataframely as dy
import msgspec
import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from penumbra.core.columns import UNKNOWN_FIELD
from penumbra.core.contract.column_rules import list_polars_rules
from penumbra.core.contract.feature_specs import describe_expression
from penumbra.core.contract.record_fields import build_model_fields
from penumbra.core.contract.record_models import STRICT_CONFIG, NamedModel, create_named_model
from penumbra.core.text.counts import format_count
from penumbra.features import ColumnCheck
from service.http.refusals import RequestRefused, build_contract_refusal
from service.http.requests import arrow_body
from service.http.requests.fast_parser import FastParser, build_fast_parser
from service.http.requests.record_batch import RecordBatch, RecordDict, build_frame


class RecordReader:
    """Reads request bodies by a pydantic model of one record.

    Attributes:
        consequence: What a refusal means for the client, such as "nothing was predicted".
        broken_counts: The number of records that broke the contract, by column, and of all of them as "", since
            somebody last replaced the counter. Names that the contract doesn't have count as `UNKNOWN_FIELD` together.
    """

    def __init__(
        self, model: type[NamedModel], max_records: int, consequence: str, parser: FastParser | None = None
    ) -> None:
        """Read records by `model`, at most `max_records` in a list; `parser` may accept some before it."""
        self.model = model
        self.max_records = max_records
        self.consequence = consequence
        self.broken_counts: Counter[str] = Counter()
        self._fast_parser = parser
        self._validate = model.__pydantic_validator__.validate_json
        self._split = msgspec.json.Decoder(list[msgspec.Raw]).decode

    def parse_one(self, body: bytes) -> RecordDict:
        """Parse a JSON object.

        Args:
            body: The request's body.

        Returns:
            The record by column; absent nullable fields are None.

        Raises:
            RequestRefused: 400 for invalid JSON, 422 for a record that breaks the contract.
        """
        if self._fast_parser and (record := self._fast_parser.parse_one(body)) is not None:
            return record
        try:
            return self._parse_with_pydantic(body)
        except ValidationError as error:
            raise self._count_and_refuse([(None, error)], 1) from None

    def parse_batch(self, body: bytes) -> Sequence[RecordDict]:
        """Parse a JSON array of records, which is refused as a whole where one of them breaks the contract.

        Args:
            body: The request's body.

        Returns:
            The records by column, in the array's order.

        Raises:
            RequestRefused: 400 for invalid JSON, 413 for too many records, 422 for none, or for records that break the
                contract.
        """
        if body.count(b"{") > self.max_records:  # it may be too long, and counting is far quicker than parsing
            self._split_items(body)
        if self._fast_parser and (parsed := self._fast_parser.parse_batch(body)) is not None:
            self._require_length(len(parsed))
            return parsed
        items = self._split_items(body)
        records: list[RecordDict] = []
        broken: list[tuple[int, ValidationError]] = []
        for index, item in enumerate(items):
            try:
                records.append(self._parse_with_pydantic(bytes(item)))
            except ValidationError as error:
                broken.append((index, error))
        if broken:
            raise self._count_and_refuse(broken, len(items))
        return records

    def parse_arrow(self, body: bytes, max_bytes: int) -> Sequence[RecordDict]:
        """Parse an Arrow IPC stream of records, as the same values in JSON are parsed.

        Args:
            body: The request's body.
            max_bytes: The most bytes of its values.

        Returns:
            The records by column, in the stream's order.

        Raises:
            RequestRefused: 400 for another body, 413 for too many records or bytes, 422 for none, or for records that
                break the contract.
        """
        frame = arrow_body.read_arrow_body(body, self.max_records, max_bytes)
        if not set(self.model.names).issuperset(frame.columns):
            names_bytes = sum(len(name.encode()) + arrow_body.MIN_VALUE_BYTES for name in frame.columns)
            frame = frame.head(max(1, max_bytes // names_bytes))  # is refused for that, however large as JSON
        return self.parse_batch(arrow_body.encode_frame(frame, self.consequence))

    def _count_and_refuse(self, broken: Sequence[tuple[int | None, ValidationError]], total: int) -> RequestRefused:
        refused = build_contract_refusal(broken, total, self.consequence, self.model.nullable)
        fields = {
            (fault.get("index"), self._find_column(fault["field"])) for fault in refused.details if "field" in fault
        }
        self.broken_counts.update([field for _, field in fields] + [""] * len({index for index, _ in fields}))
        return refused

    def _find_column(self, field: str) -> str:
        """The column that a field is or is a part of; `UNKNOWN_FIELD` where there is none."""
        if field in self.model.names:
            return field
        return next((name for name in self.model.names if field.startswith(f"{name}.")), UNKNOWN_FIELD)

    def _parse_with_pydantic(self, body: bytes) -> RecordDict:
        record: RecordDict = self._validate(body).values
        if self._fast_parser:
            self._fast_parser.learn(record)
        return record

    def _split_items(self, body: bytes) -> list[msgspec.Raw]:
        try:
            items = self._split(body)
        except (msgspec.DecodeError, RecursionError) as error:
            hint = "; NaN and Infinity are not JSON: send null" if b"NaN" in body or b"Infinity" in body else ""
            raise RequestRefused(400, f"the body is not valid JSON: {error}{hint}") from None
        self._require_length(len(items))
        return items

    def _require_length(self, n_records: int) -> None:
        if not n_records:
            raise RequestRefused(422, "the list is empty: send at least one record")
        if n_records > self.max_records:
            raise RequestRefused(
                413, f"{format_count(n_records, 'record')} in one request: at most {self.max_records} are accepted"
            )


class Contract(RecordReader):
    """Reads records by the problem's schema and checks.

    `version` is a hash that changes whenever the accepted records do.
    """

    def __init__(
        self, schema: type[dy.Schema], checks: Sequence[ColumnCheck], example: RecordDict, max_records: int
    ) -> None:
        self.dtypes = {name: column.dtype for name, column in schema.columns().items()}
        parser = build_fast_parser(build_model_fields(schema), checks, self.dtypes)
        super().__init__(build_record_model(schema, checks, example), max_records, "nothing was predicted", parser)
        self.example = example
        self.version = _hash_contract(self.model, schema, checks)

    def to_frame(self, records: Sequence[RecordDict]) -> pl.DataFrame:
        """Build a frame of records.

        Args:
            records: The records by column; a `RecordBatch` has its frame already.

        Returns:
            A row for each record, with the contract's columns and dtypes.
        """
        if isinstance(records, RecordBatch):
            return records.frame
        return build_frame(self.dtypes, {name: [record[name] for record in records] for name in self.dtypes})


def build_record_model(
    schema: type[dy.Schema], checks: Sequence[ColumnCheck], example: Mapping[str, Any]
) -> type[NamedModel]:
    """Build a pydantic model of one record: no coercion, no unknown fields, no NaN; nullable fields may be left out.

    Args:
        schema: The dataframely schema of the problem's rows.
        checks: Conditions that every record must meet.
        example: A valid record, shown in the model's JSON schema.

    Returns:
        The model, named like the schema.
    """

    class Base(NamedModel):
        model_config = ConfigDict(**STRICT_CONFIG, json_schema_extra={"example": dict(example)})

        @model_validator(mode="after")
        def require_checks(self) -> "Base":
            values = self.values
            for check in checks:
                if not check.scalar(values):
                    raise _build_check_error(checks, values)
            return self

    return create_named_model(schema.__name__, Base, schema.__doc__, build_model_fields(schema))


def _build_check_error(checks: Sequence[ColumnCheck], values: RecordDict) -> PydanticCustomError:
    broken = [check for check in checks if not check.scalar(values)]
    faults = [{"field": c.column, "value": values[c.column], "expected": c.expectation} for c in broken]
    return PydanticCustomError("check", "Value error", {"faults": faults})


def _hash_contract(model: type[BaseModel], schema: type[dy.Schema], checks: Sequence[ColumnCheck]) -> str:
    described = {
        key: value for key, value in model.model_json_schema().items() if key not in ("example", "description")
    }
    rules = {
        f"{name}|{rule}": describe_expression(expression)
        for name, column in schema.columns().items()
        for rule, expression in list_polars_rules(column).items()
    }
    facts = [described, [check.expectation for check in checks], *([rules] if rules else [])]
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
