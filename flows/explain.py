"""`make explain ID=…`: where an answer came from, from the record that was asked about to the raw batches."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from settings import SettingsError, load
from stores.lineage import Unknown, explain

UNKNOWN = "not recorded"


def chain(facts: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """The links in their order: what each is called, and its lines."""
    prediction, model = facts["prediction"], facts["model"]
    yield "prediction", [f"{prediction['id']}, answered {prediction['time']}", *_pairs(prediction["record"])]
    yield "answer", [_answer(prediction, model)]
    yield "shadow", [_shadowed(one) for one in facts["shadow"]] or ["nothing yet"]
    yield "model version", [f"{model['version']}: {model.get('candidate') or model.get('problem') or UNKNOWN}"]
    yield "MLflow run", [model.get("run") or UNKNOWN]
    yield "settings", list(_pairs(_dotted(model.get("settings") or {})))
    yield "git revision", [model.get("revision") or UNKNOWN]
    yield "data version", [model.get("data_version") or UNKNOWN]
    yield "raw batches", [" ".join(model.get("batches", [])) or UNKNOWN]
    yield "label", list(_label(facts["labels"]))


def draw(facts: Mapping[str, Any]) -> str:
    """The chain as text, an arrow from each link to the next."""
    links = [_link(name, lines) for name, lines in chain(facts)]
    return "\n      ↓\n".join(links)


def main(words: list[str]) -> None:
    if len(words) != 1 or not words[0]:
        sys.exit("say which prediction: make explain ID=<prediction_id of an answer>")
    try:
        print(draw(explain(load(), words[0])))
    except (Unknown, SettingsError) as error:
        sys.exit(str(error))


def _link(name: str, lines: list[str]) -> str:
    first, *rest = lines
    return "\n".join([f"{name:>13}  {first}", *(f"{'':>13}  {line}" for line in rest)])


def _pairs(record: Mapping[str, Any], width: int = 96) -> Iterator[str]:
    """The record's fields, as many to a line as fit."""
    line = ""
    for pair in (f"{name}={'?' if value is None else value}" for name, value in record.items()):
        if line and len(line) + len(pair) > width:
            yield line
            line = ""
        line += f"{'  ' if line else ''}{pair}"
    yield line or UNKNOWN


def _dotted(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {f"{section}.{key}": value for section, values in settings.items() for key, value in values.items()}


def _answer(prediction: Mapping[str, Any], model: Mapping[str, Any]) -> str:
    """The decision, and the output that led to it (see `stores.predictions.Entry`)."""
    output, decision = prediction["output"], prediction["decision"]
    if isinstance(output, list):
        return f"{decision} (probability {max(output):.4f}, the highest of {len(output)} classes)"
    if not isinstance(decision, bool):
        return f"{output:g}"
    threshold = "" if model.get("threshold") is None else f", threshold {model['threshold']}"
    return f"{'yes' if decision else 'no'} (probability {output:.4f}{threshold})"


def _shadowed(said: Mapping[str, Any]) -> str:
    if said["status"] != "ok":
        return f"version {said['model']} said nothing: {said['status']}, {said['reason']}"
    output = said["output"]
    shown = f"{max(output):.4f} for the most probable class" if isinstance(output, list) else f"{output:.4f}"
    return f"version {said['model']} said {shown}"


def _label(labels: Mapping[str, Any]) -> Iterator[str]:
    if current := labels["current"]:
        target = "no outcome" if current["target"] is None else f"target {current['target']}"
        when = f"after {labels['delay_hours']:,.1f} h" + (", late" if labels["late"] else "")
        yield f"{_flat(current['label'])}: {target}; the first came {when}"
    else:
        yield "none yet"
    for one in labels["history"]:
        yield f"{one['time']:%Y-%m-%d %H:%M:%S} {one['outcome']} {_flat(one['label'])} ({one['source']})"
    if problem := labels.get("problem"):
        yield f"({problem})"


def _flat(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


if __name__ == "__main__":
    main(sys.argv[1:])
