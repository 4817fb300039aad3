"""`penumbra explain` and `GET /explain`: the same facts, and a sentence where there are none."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penumbra.core.settings import PROJECT_ROOT
from penumbra.logs.append_log import encode_json
from penumbra.registry.bundles.fetching import AbsentBundle, fetch_absent_bundle
from penumbra.registry.bundles.manifest import BrokenBundle, read_manifest, write_manifest
from penumbra.registry.models import ModelRegistry
from penumbra.registry.tracking.run_records import FinishedRun
from penumbra.reviews.case_lineage import explain_reviewed_prediction
from problem.schema import EXAMPLE
from tests.cli.reports.serving.lineage.explaining import run_explain
from tests.helpers.logs import review_cases
from tests.helpers.models import registered_versions
from tests.helpers.servers import local_service

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic


@pytest.mark.slow
def test_the_service_explains_as_the_command_does(client: Any, deployed: Path, name: str) -> None:
    answer = client.get(f"/explain/{name}")
    assert answer.status_code == 200
    told = explain_reviewed_prediction(review_cases.make_review_settings(deployed), name)
    assert answer.content == encode_json(told)


@pytest.mark.slow
def test_a_bundle_that_is_gone_is_fetched_from_the_registry_and_a_damaged_one_says_what_to_do(tmp_path: Path) -> None:
    models = ModelRegistry(registered_versions.make_registry_settings(tmp_path).registry)
    bundle = local_service.make_bundle(tmp_path / "registry/1", candidate="forest")
    models.register(models.record(FinishedRun("train", 0, 1), artifacts={"bundle": bundle}), "bundle", {})
    local_service.deploy_version(tmp_path, "1")
    with local_service.open_test_client(tmp_path) as http:
        name = http.post("/predict", json=EXAMPLE).json()["prediction_id"]
    shutil.rmtree(tmp_path / "state/bundles")
    shown = run_explain(tmp_path, name)
    assert shown.returncode == 0, shown.stderr
    assert "model version  1: forest" in shown.stdout
    assert re.search(r"explanation  .*, expected ", shown.stdout), shown.stdout
    (damaged,) = tmp_path.glob("state/bundles/1/attributions.npz")
    damaged.chmod(0o644)
    damaged.write_bytes(b"PK")
    assert f"Remove {damaged.parent}: the version is fetched" in run_explain(tmp_path, name).stdout


@pytest.mark.slow
def test_a_bundle_that_nobody_has_is_one_sentence(tmp_path: Path) -> None:
    settings = registered_versions.make_registry_settings(tmp_path)
    with pytest.raises(AbsentBundle, match=r"the bundle of version 7 is not in .*, and the registry") as caught:
        fetch_absent_bundle(settings, "7")
    assert "Errno" not in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(BrokenBundle, match=r"bundle\.json: No such file or directory$"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("0" * 17 + "-0", "has no prediction"),
        ("nonsense", "is no prediction id"),
        ("..%2F..%2Fetc", "is no prediction id"),
        ("unlogged-1f", "could not be written"),
    ],
)
def test_an_unknown_id_is_a_404_in_words(client: Any, name: str, words: str) -> None:
    answer = client.get(f"/explain/{name}")
    assert answer.status_code == 404
    assert words in answer.json()["error"]


def test_other_methods_than_get_are_refused(client: Any) -> None:
    answer = client.post("/explain/x")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


@pytest.mark.slow
def test_the_command_draws_the_chain(deployed: Path, name: str) -> None:
    result = run_explain(deployed, name)
    assert result.returncode == 0
    links = ["prediction", "answer", "model version", "MLflow run", "settings", "git revision", "data version"]
    positions = [result.stdout.index(f"{link:>13}  ") for link in [*links, "raw batches", "label"]]
    assert positions == sorted(positions)


@pytest.mark.slow
@pytest.mark.parametrize("words", [[""], ["nonsense"], ["0" * 17 + "-0"]])
def test_the_command_refuses_in_one_sentence(tmp_path: Path, words: list[str]) -> None:
    result = run_explain(tmp_path, *words)
    assert (result.returncode, result.stdout) == (1, "")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.slow
def test_the_command_loads_nothing_heavy() -> None:
    code = "import sys, penumbra.cli.app, penumbra.cli.reports.serving.lineage_report, penumbra.registry.lineage; "
    code += "print(sorted({'mlflow', 'polars', 'numpy', 'onnxruntime'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.slow
def test_explain_says_what_the_service_said_of_the_answer(client: Any, deployed: Path) -> None:
    answer = client.post("/predict?explain=true", json=EXAMPLE).json()
    told = msgspec.json.decode(run_explain(deployed, answer["prediction_id"], "--json").stdout)
    assert told["explanation"] == answer["explanation"]
    shown = run_explain(deployed, answer["prediction_id"]).stdout
    first = answer["explanation"]["attributions"][0]
    assert f"  explanation  probability {answer['probability']:.4f}, expected" in shown
    assert f"{first['attribution']:+.4f}  {first['feature']}={first['value']}\n" in shown


@pytest.mark.slow
def test_explain_says_why_a_version_has_no_attributions(tmp_path: Path) -> None:
    made = local_service.make_bundle(tmp_path / "registry/1")
    (made / "attributions.npz").unlink()
    facts = read_manifest(made)
    del facts["sha256"]["attributions.npz"]
    write_manifest(made, facts)
    local_service.deploy_version(tmp_path, "1")
    with local_service.open_test_client(tmp_path) as http:
        name = http.post("/predict", json=EXAMPLE).json()["prediction_id"]
    shown = run_explain(tmp_path, name).stdout
    assert "  explanation  none: it was made before attributions were recorded: train it again\n" in shown
