"""Ingest: new batches are checked once, side by side, and become a data version together, or not at all."""

from metaflow import FlowSpec, Parameter, schedule, step

from flows.steps.errors import FlowStopped, stop_with_one_sentence
from flows.steps.parallel import limit_parallel_tasks


@schedule(daily=True)
class IngestFlow(FlowSpec):
    again = Parameter("again", default="", help="a batch to fetch and check anew, though it is admitted")

    @step
    def start(self):
        """Find the batches that have arrived and aren't admitted; DVC fills an empty data folder where it can."""
        from penumbra.data import versions

        data = _open_data_store()
        data.discard_staged()
        named = "" if data.batches() else versions.read_recorded_version(data.settings)
        self.rebuild = "" if not named or versions.pull_data(data.settings) else named
        if self.again and self.again not in data.arrived():
            raise FlowStopped(f"{self.again} is no batch; there are {', '.join(data.arrived())}")
        self.new = [batch for batch in data.arrived() if batch == self.again or batch not in data.batches()]
        if not self.new and not data.batches():
            raise FlowStopped(
                f"no batch was complete by data.today = {data.settings.today}: there is nothing to ingest"
            )
        self.plan = "new" if self.new else "nothing"
        self.next({"new": self.list_new, "nothing": self.finish}, condition="plan")

    @step
    def list_new(self):
        self.next(self.check, foreach="new")

    @step
    def check(self):
        """Fetch one batch and hold it against the contract."""
        import problem.source
        from penumbra.data.batches import BatchRefused

        with stop_with_one_sentence(BatchRefused, OSError):
            self.intake = _open_data_store().stage(self.input, problem.source.fetch(self.input))
        print(self.intake)
        self.next(self.admit)

    @step
    def admit(self, inputs):
        """All of them were accepted: into the data folder, unless that was to be what data.dvc names and can't."""
        data, named = _open_data_store(), inputs[0].rebuild
        if named and named not in data.staged_versions():
            raise FlowStopped(
                f"the remote lacks data version {named}, which {data.settings.folder}.dvc names, and the source's "
                f"batches until data.today = {data.settings.today} don't make it: set data.remote or data.today right, "
                f"or remove {data.settings.folder}.dvc to begin a history of your own"
            )
        data.admit(each.intake.batch for each in inputs)
        self.next(self.finish)

    @step
    def finish(self):
        """Make what is there a version, one writer at a time, and give the predictions their outcomes."""
        from flows.steps import ingest

        data = _open_data_store()
        print(ingest.report_data_version(data.settings, data.batches()))
        print(ingest.attach_batch_labels(data))
        self.next(self.end)

    @step
    def end(self):
        pass


def _open_data_store():
    import problem.features
    import problem.schema
    import problem.source
    from penumbra.core.settings import SettingsError, load_settings
    from penumbra.data.batches import DataStore

    with stop_with_one_sentence(SettingsError):
        return DataStore(load_settings().data, problem)


if __name__ == "__main__":
    limit_parallel_tasks()
    IngestFlow()
