from penumbra.core.settings import load_settings
from penumbra.training.evaluation.comparison import ComparedRun, describe_changes, describe_runs
from penumbra.training.gate.gate_checks import ServingMeasurements, check_serving_budgets

FACTS = {
    "kind": "experiment",
    "candidate": "forest",
    "parameters": {},
    "judged": ["2013-02"],
    "gate": "pass",
    "data_version": "aaaaaaaaaaaa.dir",
    "train": ["2013-01"],
    "revision": "1111111111111111",
    "files": {"problem/candidates.py": "a", "penumbra/core/encoding.py": "b"},
    "settings": {"training": {"threshold": 0.3}},
    "environment": {"polars": "2.1"},
}
METRICS = {
    "loss": 0.48451,
    "loss_low": 0.47,
    "loss_high": 0.5,
    "fit_seconds": 3.21,
    "latency_us": 14.2,
    "size_bytes": 310_400,
}


def after(**facts):
    return describe_changes(FACTS, {**FACTS, **facts})


def test_a_run_is_a_line_with_its_metric_interval_fit_time_latency_size_and_verdict():
    _, line = describe_runs([ComparedRun("abc", 0.0, METRICS, FACTS)]).splitlines()
    assert line.split()[4:] == ["forest", "2013-02", "0.4845", "[0.4700,", "0.5000]", "3.2", "14.2", "310.4", "pass"]


def test_latency_and_size_are_named_and_written_as_the_gate_does():
    measured = ServingMeasurements(microseconds=7.08, size=806, parity=0.0, tolerance=1e-9)
    metrics = {**METRICS, "latency_us": measured.microseconds, "size_bytes": measured.size}
    head, line = describe_runs([ComparedRun("abc", 0.0, metrics, FACTS)]).splitlines()
    shown = [line[head.index(name) :].split()[0] for name in ("latency µs", "size kB")]
    checks = {check.name: check.measured for check in check_serving_budgets(measured, load_settings(environ={}).gate)}
    assert shown == [f"{checks['latency']:.4g}", f"{checks['size'] * 1000:.4g}"]


def test_a_run_without_an_interval_says_so():
    metrics = {name: value for name, value in METRICS.items() if not name.startswith("loss_")}
    assert "0.4845  (no interval)" in describe_runs([ComparedRun("abc", 0.0, metrics, FACTS)])


def test_between_equal_runs_nothing_changed():
    text = describe_runs([ComparedRun("abc", 0.0, METRICS, FACTS), ComparedRun("def", 1.0, METRICS, FACTS)])
    assert text.endswith("abc → def:\n  nothing changed")


def test_changed_data_is_named_with_its_batches():
    assert after(data_version="bbbbbbbbbbbb.dir", train=["2013-01", "2013-02"]) == [
        "data: version aaaaaaaa → bbbbbbbb",
        "train: 2013-01 → 2013-01 to 2013-02",
    ]


def test_changed_new_and_lost_files_are_named_with_the_way_to_see_the_change():
    assert after(files={"problem/candidates.py": "c", "penumbra/core/task.py": "d"}, revision="2222222222222222") == [
        "code: penumbra/core/encoding.py penumbra/core/task.py problem/candidates.py "
        "(git diff 1111111111 2222222222 -- penumbra/core/encoding.py penumbra/core/task.py problem/candidates.py)"
    ]


def test_changed_settings_parameters_and_libraries_are_named_with_both_values():
    found = after(settings={"training": {"threshold": 0.4}}, parameters={"C": 1.0}, environment={"polars": "2.2"})
    assert found == [
        "parameters.C: not set → 1.0",
        "settings.training.threshold: 0.3 → 0.4",
        "environment.polars: 2.1 → 2.2",
    ]
