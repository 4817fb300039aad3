"""Train: data version -> candidates side by side -> choose -> score on later data -> gate -> bundle -> registry."""

from metaflow import FlowSpec, Parameter, card, current, environment, step, trigger

from flows.common import ONE_THREAD, deal, one_sentence, side_by_side, workers


@trigger(event={"name": "penumbra-retrain", "parameters": {"reason": "reason"}})
class TrainFlow(FlowSpec):
    reason = Parameter("reason", default="", help="why, for the run; the monitor says so")

    @step
    def start(self):
        """Put the matrices where every task can map them, and deal the candidates to as many tasks as run at once."""
        import settings
        from flows.experiments import faulty, matrices, plan

        with one_sentence(*plan.EXPECTED):
            self.settings = settings.load()
            self.plan = plan.make(self.settings)
            print(faulty.words(self.plan.facts["left_out"]))
            folder = self.settings.training.folder / current.run_id
            self.matrices = matrices.write(self.settings, self.plan.split.all, folder)
        self.lanes = deal(matrices.jobs(self.settings.training.candidates), workers())
        self.next(self.fit, foreach="lanes")

    @environment(vars=ONE_THREAD)
    @step
    def fit(self):
        """Some candidates, each of which learns from the training batches and is scored on the validation batches."""
        split = self.plan.split
        self.lane = [self.matrices.try_out(job, split.train, split.validation, "validation")[0] for job in self.input]
        self.next(self.select)

    @step
    def select(self, inputs):
        """The lowest mean loss on validation wins; against the live recipe it has to be shown to be lower."""
        from flows.experiments import choosing

        self.merge_artifacts(inputs, include=["settings", "plan", "matrices"])
        self.trials = [trial for each in inputs for trial in each.lane]
        self.winner = choosing.choose(self.settings, self.plan, self.matrices, self.trials)
        self.next(self.finals)

    @step
    def finals(self):
        self.jobs = ["release", "score", "examine"]
        self.next(self.refit, foreach="jobs")

    @environment(vars=ONE_THREAD)
    @step
    def refit(self):
        """Side by side: the winner on everything, to be shipped; winner and baseline on the test batches; the data."""
        from flows import doctor
        from flows.experiments import finals

        if self.input == "release":
            self.cost = finals.release(self.matrices, self.winner, self.plan.split)
        elif self.input == "score":
            self.baseline, self.tested = finals.score(self.settings, self.matrices, self.winner, self.plan.split)
        else:
            doctor.findings(self.settings)
        self.next(self.register)

    @card(type="blank")
    @step
    def register(self, inputs):
        """Hold the winner at the gate, write bundle and runs, give the version its alias, and show the comparison."""
        from flows.experiments import record, show

        release, score, _ = inputs
        outcome = record.outcome(score, [*score.trials, score.baseline], release.cost)
        pictures = show.files(outcome)
        text = record.register(outcome, self.reason)
        show.card(outcome, text, pictures)
        print(text)
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    side_by_side()
    TrainFlow()
