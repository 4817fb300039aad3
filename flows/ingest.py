"""Ingest: new batches are checked once, side by side, and become a data version together, or not at all."""

from metaflow import FlowSpec, step

from flows.common import one_sentence, side_by_side


class IngestFlow(FlowSpec):
    @step
    def start(self):
        """Find the batches that have arrived and aren't admitted."""
        data = _store()
        self.new = [batch for batch in data.arrived() if batch not in data.batches()]
        self.plan = "new" if self.new else "nothing"
        self.next({"new": self.list_new, "nothing": self.finish}, condition="plan")

    @step
    def list_new(self):
        self.next(self.check, foreach="new")

    @step
    def check(self):
        """Fetch one batch and hold it against the contract."""
        import problem.source
        from stores.data import BatchRefused

        with one_sentence(BatchRefused, OSError):
            self.intake = _store().stage(self.input, problem.source.fetch(self.input))
        print(self.intake)
        self.next(self.admit)

    @step
    def admit(self, inputs):
        """All of them were accepted: into the data folder."""
        _store().admit(each.intake.batch for each in inputs)
        self.next(self.finish)

    @step
    def finish(self):
        """Make what is there a version."""
        import settings
        from stores import versions

        folder = settings.load().data.folder
        self.version = versions.record(folder)
        self.batches = _store().batches()
        print(f"data version {self.version.md5}: {len(self.batches)} batches, {self.batches[0]} to {self.batches[-1]}")
        if self.version.changed:
            print(
                f"the version is new; record it with: git add {folder}.dvc && git commit -m 'Data {self.batches[-1]}'"
            )
        self.next(self.end)

    @step
    def end(self):
        pass


def _store():
    import problem.features
    import problem.schema
    import problem.source
    import settings
    from stores.data import DataStore

    with one_sentence(settings.SettingsError):
        return DataStore(settings.load().data, problem)


if __name__ == "__main__":
    side_by_side()
    IngestFlow()
