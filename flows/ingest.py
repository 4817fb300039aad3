"""Ingest: new batches are checked once, side by side, and become a data version together, or not at all.

Batches made of the logs follow once the source's are admitted.
"""

import sys
from functools import partial

from metaflow import FlowSpec, Parameter, current, schedule, step

from flows.steps.errors import end_refused_pods, stop_with_one_sentence
from flows.steps.processes.flow_locks import hold_flow_locks
from flows.steps.processes.parallel import limit_parallel_tasks
from flows.steps.processes.pods import get_daily_schedule, run_code_of_image
from flows.steps.processes.task_forks import fork_tasks
from flows.steps.shared.shared_work import share_work

IMPORTED_AHEAD = ("flows.steps.ingest.ingestion", "flows.steps.ingest.admission", "dvc.repo")


@schedule(**get_daily_schedule("ingest"))
class IngestFlow(FlowSpec):
    """Check the batches that have arrived, and record the data folder as a version."""

    again = Parameter("again", default="", help="a batch to fetch and check anew, though it is admitted")
    flywheel = Parameter("flywheel", default="", help='"once": make a batch of all that was answered and labelled')

    @step
    def start(self):
        """Fill an empty data folder from the remote, and list the batches that have arrived and aren't admitted."""
        from flows.steps.ingest import admission, ingestion, recorded_version

        with share_work("ingest", current.run_id), stop_with_one_sentence(*ingestion.INGEST_ERRORS):
            data = ingestion.open_data_store()
            data.staging.discard()
            self.version_to_rebuild = recorded_version.restore_recorded_data(data)
            for sentence in admission.check_admitted_batches(data, self.again):
                print(sentence)
            self.shares = ingestion.share_batches_to_check(data, self.again)
        self.accepted = []
        self.plan = "new" if self.shares else "nothing"
        self.next({"new": self.list_new, "nothing": self.finish}, condition="plan")

    @step
    def list_new(self):
        """Start a task for each share of the new batches."""
        self.next(self.check, foreach="shares")

    @step
    def check(self):
        """Fetch some batches and check them by the contract."""
        from flows.steps.ingest import ingestion

        with share_work("ingest", current.run_id), stop_with_one_sentence(*ingestion.INGEST_ERRORS):
            self.accepted = ingestion.check_batches(ingestion.open_data_store(), self.input)
        self.next(self.admit)

    @step
    def admit(self, inputs):
        """Move all accepted batches into the data folder together (`inputs`: the tasks of `check`)."""
        from flows.steps.ingest import ingestion, recorded_version

        with share_work("ingest", current.run_id), stop_with_one_sentence(*ingestion.INGEST_ERRORS):
            data = ingestion.open_data_store()
            self.version_to_rebuild = inputs[0].version_to_rebuild
            self.accepted = [batch for task in inputs for batch in task.accepted]
            recorded_version.require_rebuilt_version(data, self.version_to_rebuild)
            data.admit(self.accepted)
        self.next(self.finish)

    @step
    def finish(self):
        """Make batches of the logs where they are wanted, record the data folder as a version, and attach the outcomes.

        One writer at a time.
        """
        from flows.steps.ingest import ingestion, recorded_version
        from penumbra.core.loading.problem_loading import load_problem
        from penumbra.core.settings import load_settings

        with share_work("ingest", current.run_id), stop_with_one_sentence(*ingestion.INGEST_ERRORS):
            settings, data = load_settings(), ingestion.open_data_store()
            recorded_version.complete_data_folder(data, self.accepted, self.version_to_rebuild)
            if self.flywheel or settings.flywheel.period:
                from flows.steps.flywheel.batch_making import FED_PARTS, feed_back_labels

                print(*feed_back_labels(settings, partial(load_problem, FED_PARTS), self.flywheel), sep="\n")
            print(recorded_version.report_data_version(data))
            print(ingestion.attach_batch_labels(data))
        self.next(self.end)

    @step
    def end(self):
        """End the flow."""


if __name__ == "__main__":
    limit_parallel_tasks()
    run_code_of_image(sys.argv)
    with fork_tasks(sys.argv, IMPORTED_AHEAD), hold_flow_locks("ingest", sys.argv), end_refused_pods():
        IngestFlow()
