"""Metrics of the processes beside the service: each leaves a file that the service shows at `/metrics`.

A heartbeat that stands still tells that the other values are old.
"""

from collections.abc import Mapping, Sequence

MetricSample = tuple[str, dict[str, str], float]


def format_exposition(prefix: str, help_texts: Mapping[str, str], samples: Sequence[MetricSample]) -> str:
    """Format samples in Prometheus' text format.

    Args:
        prefix: What the names of the metrics begin with.
        help_texts: The help by name, in the order of the metrics.
        samples: Name without the prefix, labels and value of each.

    Returns:
        The text, with the help and the type of each metric.
    """
    lines = []
    for name, text in help_texts.items():
        if samples_of_name := [sample for sample in samples if sample[0] == name]:
            full = f"{prefix}{name}"
            lines += [f"# HELP {full} {text}", f"# TYPE {full} {'counter' if name.endswith('_total') else 'gauge'}"]
            lines += [f"{full}{_format_labels(labels)} {value:.17g}" for _, labels, value in samples_of_name]
    return "".join(line + "\n" for line in lines)


def _format_labels(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escape_label(value)}"' for name, value in labels.items()) + "}" if labels else ""


def _escape_label(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
