"""The features: what they read, whether they have values, and the doctor's view of them."""

import pytest

from flows.steps.doctor.examination import examine_store
from penumbra.core.columns import INPUTS_COLUMN
from penumbra.core.settings import Settings
from penumbra.training.doctor.checks import CONSTANT_TARGET, EMPTY_FEATURE, FINDINGS_OF_ALL_BATCHES
from problem_tests.sample import Sample


def test_the_doctor_finds_nothing(sample: Sample, settings: Settings) -> None:
    by_tests, by_training = (CONSTANT_TARGET, EMPTY_FEATURE), () if sample.is_whole else FINDINGS_OF_ALL_BATCHES
    found = [finding for finding in examine_store(sample.store) if finding.check not in (*by_tests, *by_training)]
    faults = [finding for finding in found if finding.column not in settings.gate.accept]
    if faults:
        sentences = (f"{finding.column}: {finding.evidence}: {finding.remedy}" for finding in faults)
        pytest.fail("; ".join(sentences), pytrace=False)


def test_every_feature_has_values(sample: Sample) -> None:
    features, read = sample.rows[INPUTS_COLUMN].struct.unnest(), sample.problem.features.FEATURES
    empty = {kind.name: kind.columns for kind in read if features[kind.name].null_count() == features.height}
    where = f"missing in all {features.height:,} rows of the newest batches"
    gone = [name for name, columns in empty.items() if any(sample.rows[each].count() == 0 for each in columns)]
    if faults := [name for name in empty if sample.is_whole or name not in gone]:
        pytest.fail(f"problem/features.py: {', '.join(faults)} is {where}", pytrace=False)
    if gone:
        pytest.skip(f"{', '.join(gone)} is {where}, as what it is made of is; older ones may have values")
