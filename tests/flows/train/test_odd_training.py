"""A training on the orders: candidates that can't do beside a good one, a newest batch without outcomes, no slices.

Its settings have secrets wherever they can, and it signs the bundle.
"""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from penumbra.registry.bundles.manifest import verify_bundle
from tests.helpers.flow_workspace import Workspace
from tests.helpers.planted_secrets import PLANTED, find_planted_files
from tests.helpers.problems.orders import write_orders

pytestmark = pytest.mark.slow

CANDIDATES = '''
def raising(columns: Columns) -> Any:
    """Names what doesn't exist."""
    return undefined_name


def forgotten(columns: Columns) -> Any:
    """Lacks its return."""


def regressor(columns: Columns) -> Any:
    """Doesn't suit the task."""
    from sklearn.linear_model import Ridge

    return Ridge()


def margins(columns: Columns) -> Any:
    """Has no probabilities."""
    from sklearn.linear_model import RidgeClassifier

    return RidgeClassifier()


def gapless(columns: Columns) -> Any:
    """Refuses the gaps that `amount` may have."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression()


def deadly(columns: Columns) -> Any:
    """Takes its process down while it is fitted."""
    from penumbra.patterns import Augmented

    return Augmented(boosting(columns), die, columns)


def die(rows: Any, columns: Columns, random: Any) -> Any:
    """As the kernel does where memory is short."""
    import os

    os._exit(137)


CANDIDATES = {
    **{name: Candidate(make) for name, make in {
        "raising": raising, "forgotten": forgotten, "regressor": regressor, "margins": margins, "gapless": gapless,
        "deadly": deadly,
    }.items()},
    "boosting": Candidate(boosting),
}
'''
REASONS = {
    "raising": "problem/candidates.py, line 26: NameError: name 'undefined_name' is not defined",
    "forgotten": "its function returns None: expected an unfitted scikit-learn estimator",
    "regressor": "a Ridge is no classifier and target() gives classes (Boolean): take a classifier",
    "margins": "a RidgeClassifier has no predict_proba: wrap it in CalibratedClassifierCV, or take a classifier with",
    "gapless": "put a SimpleImputer before it, or take an estimator that accepts missing values",
    "deadly": "its process crashed or was killed while it was tried, most often for lack of memory",
}
SETTINGS = {
    "data__today": "2024-05-01",
    "training__candidates": ", ".join([*REASONS, "boosting"]),
    "registry__model": "orders",
    "data__remote": f"http://me:{PLANTED}@127.0.0.1:1/data",
    "monitor__webhook": f"https://hooks.example.org/services/{PLANTED}",
    "review__webhook": f"https://hooks.example.org/services/{PLANTED}",
    "keys__predict": PLANTED * 2,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, migrated_database):
    folder = tmp_path_factory.mktemp("orders")
    space = Workspace(folder)
    space.use_database(migrated_database)
    problem = write_orders(
        folder / "written",
        source=[
            ("ROWS_PER_DAY = 60", "ROWS_PER_DAY = 30"),
            ('"churned": str(churned).lower(),', '"churned": "" if day.month == 4 else str(churned).lower(),'),
        ],
        candidates=[('CANDIDATES = {"boosting": Candidate(boosting)}\n', CANDIDATES.lstrip())],
    )
    space.use_problem(problem)
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key_file = tmp_path_factory.mktemp("keys") / "key.pem"
    key_file.write_bytes(pem)
    space.key = pem.split(b"\n")[1]
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    space.settings = {
        **SETTINGS,
        "registry__tracking": f"sqlite:///file:{folder}/var/mlflow.db?uri=true&password={PLANTED}",
        "registry__signed_by": base64.b64encode(public).decode(),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BUNDLE_SIGNING_KEY", str(key_file))
        space.output = space.ingest(**space.settings)
        space.output += space.run(*space.flow("train"), **space.settings)
    return space


def test_a_good_candidate_is_registered_whatever_becomes_of_the_others(trained):
    assert "Version 1 is live: boosting, fitted on 2024-01 to 2024-03" in trained.latest_receipt


@pytest.mark.parametrize("name", REASONS)
def test_a_candidate_that_cannot_do_is_left_out_with_the_reason(trained, name):
    (line,) = (line for line in trained.latest_receipt.splitlines() if line.startswith(f"{name} is left out: "))
    assert REASONS[name] in line
    assert "Traceback" not in trained.latest_receipt


def test_a_newest_batch_without_outcomes_is_left_for_later(trained):
    assert "2024-04: no row has an outcome yet" in trained.latest_receipt
    assert "scored on 2024-03:" in trained.latest_receipt


def test_an_experiment_that_is_refused_ends_in_the_reason(trained):
    output, code = trained.run_unchecked(*trained.command("experiment", "gapless"), **trained.settings)
    assert code == 1
    assert REASONS["gapless"] in output.splitlines()[-1]
    assert "Traceback" not in output


def test_a_training_writes_no_secret_of_its_settings_anywhere(trained):
    """In data, results, MLflow's database and artifacts, Metaflow's artifacts and logs, ledger, and on the terminal."""
    assert find_planted_files(trained.folder) == []
    assert PLANTED not in trained.output
    assert all(trained.key not in path.read_bytes() for path in trained.folder.rglob("*") if path.is_file())


def test_a_training_with_a_signing_key_signs_its_bundle(trained):
    (manifest,) = trained.folder.glob("var/artifacts/**/bundle.json")
    key = trained.settings["registry__signed_by"]
    assert verify_bundle(manifest.parent, [key])["candidate"] == "boosting"


def test_commands_show_no_secret_of_the_settings(trained):
    for words in (["settings"], ["compare"], ["history", "1"]):
        output, code = trained.run_unchecked(*trained.command(*words), **trained.settings)
        assert (code, PLANTED in output) == (0, False), output
