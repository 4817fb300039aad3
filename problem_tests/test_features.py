"""The features: what they read, whether they have values, and the doctor's view of them."""

import pytest

from flows.steps.doctor.examination import examine_store
from penumbra.core.columns import INPUTS_COLUMN
from penumbra.core.settings import Settings
from penumbra.training.doctor.checks import CONSTANT_TARGET, FINDINGS_OF_ALL_BATCHES
from problem_tests.sample import Sample


def test_the_doctor_finds_nothing(sample: Sample, settings: Settings) -> None:
    elsewhere = (
        CONSTANT_TARGET,
        *(() if sample.is_whole else FINDINGS_OF_ALL_BATCHES),
    )  # said by a test, by a training
    found = [finding for finding in examine_store(sample.store) if finding.check not in elsewhere]
    faults = [finding for finding in found if finding.column not in settings.gate.accept]
    if faults:
        sentences = (f"{finding.column}: {finding.evidence}: {finding.remedy}" for finding in faults)
        pytest.fail("; ".join(sentences), pytrace=False)


def test_every_feature_has_values(sample: Sample) -> None:
    features = sample.rows[INPUTS_COLUMN].struct.unnest()
    empty = [name for name in features.columns if features[name].null_count() == features.height]
    if empty:
        pytest.fail(
            f"problem/features.py: {', '.join(empty)} is missing in all {features.height:,} rows of the newest batches",
            pytrace=False,
        )
