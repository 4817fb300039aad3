"""A sample of what `penumbra bench faults fuzzed_requests` sends."""

import pytest

from benchmarks.faults.connections.fuzzed_requests import inject_faults

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's use of pydantic


@pytest.mark.slow
def test_requests_of_random_contracts_have_one_answer_on_all_ways_and_no_5xx():
    report = inject_faults(requests=1500, first_seed=2013)
    assert report.findings == ()
    assert (report.counts["5xx"], report.counts["disagreements"]) == (0, 0)
    assert report.counts["fuzzed"] >= 1500
    assert report.table["accepted"].min() > 0
