"""Cards of versions that are registered, from what the registry keeps of them."""

import json
import tempfile
from pathlib import Path
from typing import Any

import polars as pl

from monitoring.dashboard.model_cards.card_pages import ModelCard, render_card
from monitoring.dashboard.model_cards.card_sections import build_card
from penumbra.registry.bundles.manifest import RECORDS_FILE, BrokenBundle, read_manifest, verify_bundle_file
from penumbra.registry.errors import MlflowException
from penumbra.registry.models import ModelRegistry
from penumbra.storage.atomic import replace_file

CARDS_FOLDER = "cards"  # of the overview
EVALUATION_FILES = {"slices": "slices.csv", "worst": "worst.csv"}  # of a run, which older versions have


def read_card(models: ModelRegistry, version: str) -> ModelCard:
    """Read the card of a registered version.

    Args:
        models: The registry.
        version: The version's number.

    Returns:
        The card; one of a version from before there were cards says what isn't recorded.

    Raises:
        BrokenBundle: The version's bundle.json is damaged, or its card.json isn't what that says.
        MlflowException: There is no such version, or the registry can't be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        facts = read_manifest(models.download_artifact(version, "bundle/bundle.json", Path(folder)).parent)
        if RECORDS_FILE in facts["sha256"]:
            file = models.download_artifact(version, f"bundle/{RECORDS_FILE}", Path(folder))
            verify_bundle_file(file, facts["sha256"][RECORDS_FILE])
            records = json.loads(file.read_text())
        else:
            records = _collect_older_records(models, version, Path(folder))
    return build_card(facts, records, version)


def link_card_page(models: ModelRegistry, version: str, folder: Path) -> str:
    """Write the page of a version's card beside the overview, once for each run, and return its address from there.

    Args:
        models: The registry.
        version: The version's number.
        folder: The settings' `monitor.folder`, in which the overview is.

    Returns:
        Such as "cards/model-1-….html"; "" where there is none, of which `penumbra card` says why.
    """
    try:
        page = folder / CARDS_FOLDER / f"model-{version}-{models.find_run_id(version)}.html"
        if not page.exists():
            page.parent.mkdir(parents=True, exist_ok=True)
            replace_file(page, render_card(read_card(models, version)))
    except (BrokenBundle, MlflowException, OSError):
        return ""
    return str(page.relative_to(folder))


def _collect_older_records(models: ModelRegistry, version: str, folder: Path) -> dict[str, Any]:
    """What the run of a version without records has: the gate's report, and the scores of slices by the loss."""
    tags = models.read_run(version).tags
    records: dict[str, Any] = {"gate": json.loads(tags["gate"])} if "gate" in tags else {}
    for name, file in EVALUATION_FILES.items():
        try:
            table = pl.read_csv(models.download_artifact(version, f"evaluation/{file}", folder))
        except (MlflowException, OSError, pl.exceptions.PolarsError):
            continue
        records[name] = table.to_dicts()
    if slices := records.get("slices"):
        records["slices"] = [each for each in slices if each["metric"] == slices[0]["metric"]]
    return records
