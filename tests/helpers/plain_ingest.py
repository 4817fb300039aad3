"""Sample program `python -m tests.helpers.plain_ingest`: an ingest without a process for each step of the flow."""

from functools import partial

from flows.steps.flywheel import batch_making
from flows.steps.ingest import admission, ingestion, recorded_version
from penumbra.core.loading.problem_loading import load_problem
from penumbra.core.settings import load_settings
from penumbra.data.batches import DataStore


def ingest_in_process(store: DataStore) -> None:
    """Call what the flow's steps call, in their order."""
    store.staging.discard()
    version = recorded_version.restore_recorded_data(store)
    for sentence in admission.check_admitted_batches(store):
        print(sentence)
    if shares := ingestion.share_batches_to_check(store):
        accepted = [batch for share in shares for batch in ingestion.check_batches(store, share)]
        recorded_version.require_rebuilt_version(store, version)
        store.admit(accepted)
    for line in batch_making.feed_back_labels(load_settings(), partial(load_problem, batch_making.FED_PARTS)):
        print(line)
    print(recorded_version.report_data_version(store))
    print(ingestion.attach_batch_labels(store))


if __name__ == "__main__":
    ingest_in_process(ingestion.open_data_store())
