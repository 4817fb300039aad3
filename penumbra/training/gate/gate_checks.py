"""The checks of the gate on the candidate alone (calibration, serving budgets, the doctor), and what a check is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from penumbra.core.text.counts import format_count
from penumbra.training.evaluation.bootstrap import Interval

GateVerdict = Literal["pass", "fail", "not enough data", "skipped"]
NOT_ENOUGH_DATA: GateVerdict = "not enough data"
NOT_COMPILED = "can't be compiled: the fitted model answers, slower"
LATENCY = "median microseconds for a single row"


class GateLimits(Protocol):
    """The limits that the checks need, of section [gate] of the settings, where each is described."""

    confidence: float
    min_days: int
    margin_share: float
    slice_margin_share: float
    fairness_limit: float
    fairness_margin: float
    calibration: float
    latency_us: float
    size_mb: float


@dataclass(frozen=True)
class ServingMeasurements:
    """What was measured of the model that would be served.

    Args:
        microseconds: Median time for a single row.
        size: Size of the model in bytes.
        parity: Largest difference between the predictions of the compiled and the fitted model; None where it couldn't
            be compiled.
        tolerance: The largest difference that is allowed.
        fit_cpu_seconds: Processor time of its fit.
    """

    microseconds: float
    size: int
    parity: float | None
    tolerance: float
    fit_cpu_seconds: float = 0.0


@dataclass(frozen=True)
class FormComparison:
    """The answers to the same records as rows of training, as a list and one by one.

    Args:
        records: How many records were compared.
        difference: The first difference in words; "" if there is none.
    """

    records: int
    difference: str


@dataclass(frozen=True)
class GateCheck:
    """The result of one check.

    Args:
        name: Name of the check.
        measured: The measured value; NaN where nothing was measured.
        limit: The value that it is held against; NaN where nothing is.
        verdict: "pass", "fail", "not enough data", or "skipped" for a check that did not run.
        sentence: The result in words, or the reason for skipping it.
        low: Lower limit of the measured value's confidence interval, where it has one.
        high: Upper limit.
    """

    name: str
    measured: float
    limit: float
    verdict: GateVerdict
    sentence: str
    low: float | None = None
    high: float | None = None


def skip_check(name: str, reason: str) -> GateCheck:
    """Record a check that did not run.

    Args:
        name: Name of the check.
        reason: Why it did not run.

    Returns:
        A check with the verdict "skipped" and no numbers.
    """
    return GateCheck(name, float("nan"), float("nan"), "skipped", reason)


def check_calibration(error: Interval, days: int, limits: GateLimits) -> GateCheck:
    """Check the expected calibration error: it passes up to the limit and fails if its whole interval lies above.

    Args:
        error: The error, a share from 0 to 1, with its confidence interval.
        days: Number of days that it was measured over.
        limits: `calibration` and `min_days` are used.

    Returns:
        The check.
    """
    verdict: GateVerdict = "pass" if error.value <= limits.calibration else NOT_ENOUGH_DATA
    if error.low > limits.calibration:
        verdict = "fail"
    verdict = NOT_ENOUGH_DATA if days < limits.min_days else verdict
    sentence = f"expected calibration error {error} over {format_count(days, 'day')}"
    sentence += describe_limit_setting("gate.calibration") if verdict == "fail" else ""
    return GateCheck("calibration", error.value, limits.calibration, verdict, sentence, error.low, error.high)


def check_serving_budgets(shipped: ServingMeasurements, limits: GateLimits) -> list[GateCheck]:
    """Check time and size of the model that would be served, and that it predicts what the fitted one does.

    Args:
        shipped: What was measured of it.
        limits: `latency_us` and `size_mb` are used.

    Returns:
        The checks "latency" (microseconds), "size" (megabytes) and "compiled" (largest difference).
    """
    other_way = ", and an estimator that can be compiled answers faster" if shipped.parity is None else ""
    return [
        _check_limit("latency", shipped.microseconds, limits.latency_us, LATENCY, "gate.latency_us", other_way),
        _check_limit("size", shipped.size / 1e6, limits.size_mb, "megabytes", "gate.size_mb"),
        GateCheck("compiled", float("nan"), float("nan"), "pass", NOT_COMPILED)
        if shipped.parity is None
        else _check_limit(
            "compiled", shipped.parity, shipped.tolerance, "largest difference between compiled and fitted"
        ),
    ]


def check_served_forms(forms: FormComparison) -> GateCheck:
    """Check that the model answers the same however it is asked.

    Args:
        forms: The comparison.

    Returns:
        The check "forms", measured in differences.
    """
    same = f"a list and single records get the answers of training, over {format_count(forms.records, 'record')}"
    return _check_limit("forms", float(bool(forms.difference)), 0, forms.difference or same)


def check_doctor_findings(findings: Sequence[str]) -> GateCheck:
    """Check that the doctor has found nothing in data, contract and features.

    Args:
        findings: Each finding in words.

    Returns:
        The check, measured in findings.
    """
    sentence = "; ".join(findings) or "nothing found in data, contract, features"
    return GateCheck("doctor", len(findings), 0, "fail" if findings else "pass", sentence)


def describe_limit_setting(setting: str) -> str:
    """Describe where the limit of a check that failed is set.

    Args:
        setting: The setting's name, such as "gate.latency_us".

    Returns:
        A clause, to be put behind the check's sentence.
    """
    return f"; the limit is {setting} of settings.toml"


def _check_limit(
    name: str, measured: float, limit: float, sentence: str, setting: str = "", other_way: str = ""
) -> GateCheck:
    """A check that passes up to the limit; where it fails, it says which setting the limit is, and of another way."""
    if measured <= limit:
        return GateCheck(name, measured, limit, "pass", sentence)
    advice = describe_limit_setting(setting) + other_way if setting else ""
    return GateCheck(name, measured, limit, "fail", sentence + advice)
