"""The lineage of an answer as text: from the record that was scored to the raw batches."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from penumbra.core.text.counts import format_count
from penumbra.core.text.quoting import escape_text
from penumbra.data.flywheel_manifest import (
    BATCHES_FOLDER,
    MANIFEST_FILE,
    describe_labelling,
    describe_manifest,
    is_flywheel_batch,
    read_manifest_file,
)

NOT_RECORDED = "not recorded"
SHOWN_ATTRIBUTIONS, SHOWN_BATCHES = 10, 12
FIELDS_WIDTH = 96  # characters of a line with fields of a record


def build_lineage_links(facts: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """List the links of the chain from a prediction to the raw batches.

    Args:
        facts: What `penumbra.reviews.case_lineage.explain_reviewed_prediction` returns; and, where they are known, in
            "settings" those of today by section, in "flywheel" lines on flywheel batches, and in "explanation" what
        `explain_logged_answer` says.

    Yields:
        Each link's name and its lines, at least one.
    """
    prediction, model = facts["prediction"], facts["model"]
    yield "prediction", [f"{prediction['id']}, answered {prediction['time']}", *_format_fields(prediction["record"])]
    yield "answer", [_format_answer(prediction, model), *_format_uncertainty(facts.get("uncertainty"))]
    if explanation := facts.get("explanation"):
        yield "explanation", list(format_explanation(explanation))
    yield (
        "shadow",
        [_format_shadow_result(result) for result in facts["shadow"]] or ["no other version has answered it"],
    )
    yield "model version", [f"{model['version']}: {model.get('candidate') or model.get('problem') or NOT_RECORDED}"]
    yield "MLflow run", [model.get("run") or NOT_RECORDED]
    yield "settings", _format_settings(model.get("settings") or {}, facts.get("settings") or {})
    yield "git revision", [model.get("revision") or NOT_RECORDED]
    yield "data version", [model.get("data_version") or NOT_RECORDED]
    yield "raw batches", [_format_batches(model.get("batches", [])), *facts.get("flywheel", [])]
    yield "label", list(_format_labels(facts["labels"], facts.get("review")))


def format_lineage(facts: Mapping[str, Any]) -> str:
    """Format the chain from a prediction to the raw batches.

    Args:
        facts: As for `build_lineage_links`.

    Returns:
        The links as text, with an arrow from each to the next.
    """
    links = [_format_link(name, lines) for name, lines in build_lineage_links(facts)]
    return "\n      ↓\n".join(links)


def format_explanation(explanation: Mapping[str, Any]) -> Iterator[str]:
    """Format how the features have moved a score.

    Args:
        explanation: What `explain_logged_answer` (penumbra/registry/bundles/explanations.py) returns.

    Yields:
        The score with its beginning, and the largest attributions, one a line; or why there are none.
    """
    if problem := explanation.get("problem"):
        yield f"none: {problem}"
        return
    of_class = f" of {explanation['explained_class']}" if "explained_class" in explanation else ""
    yield f"{explanation['scale']}{of_class} {explanation['score']:.4f}, expected {explanation['expected']:.4f}"
    attributions = explanation["attributions"]
    for each in attributions[:SHOWN_ATTRIBUTIONS]:
        yield f"{each['attribution']:+.4f}  {each['feature']}={_show_value(each['value'])}"
    if rest := attributions[SHOWN_ATTRIBUTIONS:]:
        yield f"{sum(each['attribution'] for each in rest):+.4f}  {format_count(len(rest), 'other')}"


def _format_link(name: str, lines: list[str]) -> str:
    first, *rest = lines
    return "\n".join([f"{name:>13}  {first}", *(f"{'':>13}  {line}" for line in rest)])


def _format_fields(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield lines of a record's fields, as many to a line as fit."""
    line = ""
    for pair in (f"{name}={_show_value(value)}" for name, value in record.items()):
        if line and len(line) + len(pair) > FIELDS_WIDTH:
            yield line
            line = ""
        line += f"{'  ' if line else ''}{pair}"
    yield line or NOT_RECORDED


def describe_flywheel_batches(data: Path, batches: Sequence[str]) -> list[str]:
    """Describe the flywheel batches that a model has learnt from: whose labels they have, and what their rows count.

    Args:
        data: The setting `data.folder`.
        batches: Names of batches.

    Returns:
        Some lines for each flywheel batch that is here.
    """
    paths = {batch: data / BATCHES_FOLDER / batch / MANIFEST_FILE for batch in filter(is_flywheel_batch, batches)}
    return [line for batch, path in paths.items() if path.exists() for line in _describe_flywheel_batch(batch, path)]


def _describe_flywheel_batch(batch: str, path: Path) -> list[str]:
    try:
        manifest = read_manifest_file({path.name: path.read_bytes()})
    except (OSError, msgspec.MsgspecError) as error:
        return [f"{path} can't be read: {error}"]
    return [*describe_manifest(batch, manifest).splitlines(), *filter(None, [describe_labelling(manifest)])]


def _format_settings(recorded: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """Those of the version's training that are others today; all where those of today aren't known."""
    now = _flatten_settings(current)
    changed = {name: value for name, value in _flatten_settings(recorded).items() if now.get(name, value) != value}
    if not (recorded and current):
        return list(_format_fields(_flatten_settings(recorded)))
    return ["as they are today, but for:", *_format_fields(changed)] if changed else ["as they are today"]


def _flatten_settings(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {f"{section}.{key}": value for section, values in settings.items() for key, value in values.items()}


def _format_answer(prediction: Mapping[str, Any], model: Mapping[str, Any]) -> str:
    """Format the decision, and the output that led to it (see `penumbra.logs.schema.PredictionEntry`)."""
    output, decision = prediction["output"], prediction["decision"]
    if isinstance(output, list):
        return f"{decision} (probability {max(output):.4f}, the highest of {len(output)} classes)"
    if not isinstance(decision, bool):
        return f"{output:g}"
    threshold = "" if model.get("threshold") is None else f", threshold {model['threshold']}"
    return f"{'yes' if decision else 'no'} (probability {output:.4f}{threshold})"


def _format_batches(batches: Sequence[str]) -> str:
    """Name all batches; of many the first and the last."""
    if len(batches) > SHOWN_BATCHES:
        return f"{min(batches)} to {max(batches)}, {format_count(len(batches), 'batch', 'batches')}"
    return " ".join(batches) or NOT_RECORDED


def _format_uncertainty(uncertainty: Mapping[str, Any] | None) -> Iterator[str]:
    """Format the prediction set or interval of an answer, if it has one."""
    if uncertainty is None:
        return
    share = f"{uncertainty['coverage']:.0%}"
    if "set" in uncertainty:
        words = [{False: "no", True: "yes"}.get(each, each) for each in uncertainty["set"]]
        yield f"{' or '.join(words)}: the set that holds the truth in {share} of the cases"
    else:
        ends = ["any" if end is None else f"{end:g}" for end in uncertainty["interval"]]
        yield f"{ends[0]} to {ends[1]}: the interval that holds the truth in {share} of the cases"


def _format_shadow_result(result: Mapping[str, Any]) -> str:
    if result["status"] != "ok":
        return f"version {result['model']} said nothing: {result['status']}, {result['reason']}"
    output = result["output"]
    shown = f"{max(output):.4f} for the most probable class" if isinstance(output, list) else f"{output:.4f}"
    return f"version {result['model']} said {shown}"


def _format_labels(labels: Mapping[str, Any], review: Mapping[str, Any] | None) -> Iterator[str]:
    if current := labels["current"]:
        target = "no outcome" if current["target"] is None else f"target {_show_value(current['target'])}"
        yield f"{_format_values(current['label'])}: {target}; the first {_format_arrival(labels)}"
    else:
        yield f"none yet{_describe_case(review) if review else ''}"
    for label in labels["history"]:
        time, values = f"{label['time']:%Y-%m-%d %H:%M:%S}", _format_values(label["label"])
        yield f"{time} {label['outcome']} {values or 'no longer'} ({label['source']})"
        yield from _format_review(label.get("review", {}), labels["history"])
    if problem := labels.get("problem"):
        yield f"({problem})"


def _format_arrival(labels: Mapping[str, Any]) -> str:
    if labels["delay_hours"] < 0:
        return "was there already"
    return f"came after {labels['delay_hours']:,.1f} h" + (", late" if labels["late"] else "")


def _describe_case(review: Mapping[str, Any]) -> str:
    """What people have done with a case that gave no label yet."""
    people = f"; answered by {escape_text(', '.join(review['answered']))}" if review["answered"] else ""
    waits = "waits for a second person" if people else "waits for a person"
    return f": picked for review, {waits if review['status'] == 'open' else review['status']}{people}"


def _format_review(review: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield who gave a label and why they were asked, what they wrote, and which outcome corrected it."""
    if not review:
        return
    sureness = f" ({review['sureness']})" if review.get("sureness") else ""
    people, reasons = (", ".join(map(escape_text, review.get(name, ()))) for name in ("reviewers", "reasons"))
    yield f"  by {people}{sureness}, picked with a chance of {review.get('probability', 0):.3g}: {reasons}"
    if note := review.get("note"):
        yield f"  note: {escape_text(note)}"
    for label in history:
        if label["label_id"] == review.get("corrected_by"):
            values, time = _format_values(label["label"]), f"{label['time']:%Y-%m-%d %H:%M}"
            yield f"  corrected by {values} ({label['source']}) at {time}"


def _show_value(value: Any) -> str:
    """Show a value as JSON has it; text, and what is text there, without quotation marks."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode().strip('"')


def _format_values(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={escape_text(_show_value(value))}" for name, value in values.items())
