"""Train: data version -> candidates side by side -> choose -> score on later data -> bundle -> registry."""

from types import SimpleNamespace

from metaflow import FlowSpec, card, current, environment, step

from flows.common import ONE_THREAD, deal, one_sentence, side_by_side, workers


class TrainFlow(FlowSpec):
    @step
    def start(self):
        """Put the matrices where every task can map them, and deal the candidates to as many tasks as run at once."""
        import settings
        from flows import plan
        from problem.candidates import CANDIDATES

        with one_sentence(*plan.EXPECTED):
            self.settings = settings.load()
            self.plan = plan.make(self.settings)
            folder = self.settings.training.folder / current.run_id
            self.arrays, self.columns, self.tables = plan.write_matrices(self.settings, self.plan.split.all, folder)
        self.lanes = deal(list(CANDIDATES), workers())
        self.next(self.fit, foreach="lanes")

    @environment(vars=ONE_THREAD)
    @step
    def fit(self):
        """Some candidates, each of which learns from the training batches and is scored on the validation batches."""
        from problem.candidates import CANDIDATES

        learn, judge = self.plan.split.train, self.plan.split.validation
        self.lane = [self.try_out(name, CANDIDATES[name].make, learn, judge, "validation") for name in self.input]
        self.next(self.select)

    @step
    def select(self, inputs):
        """The lowest validation log-loss wins."""
        self.merge_artifacts(inputs, include=["settings", "plan", "arrays", "columns", "tables"])
        self.trials = [trial for each in inputs for trial in each.lane]
        self.winner = min(self.trials, key=lambda trial: trial.scores["log_loss"]).candidate
        self.next(self.finals)

    @step
    def finals(self):
        self.jobs = ["release", "score"]
        self.next(self.refit, foreach="jobs")

    @environment(vars=ONE_THREAD)
    @step
    def refit(self):
        """Side by side: the winner on everything, to be shipped; the winner and the baseline on the test batches."""
        if self.input == "release":
            self.parity = self.release()
        else:
            self.baseline, self.tested = self.score()
        self.next(self.register)

    @card(type="blank")
    @step
    def register(self, inputs):
        """Write the bundle and the runs, give the version its alias, and show the comparison."""
        from flows import record

        release, score = inputs
        self.merge_artifacts(inputs, include=["plan", "trials", "winner"])
        print(record.register(score, [*self.trials, score.baseline], release.parity))
        self.next(self.end)

    @step
    def end(self):
        pass

    def try_out(self, name, candidate, learn, judge, part):
        """Run one trial and keep its probabilities beside the matrices."""
        from training import trial

        estimator = candidate(SimpleNamespace(**self.columns))
        done, probabilities = trial.run(name, estimator, self.arrays.part(learn), self.arrays.part(judge))
        self.arrays.write(f"{part}-{name}", probabilities)
        return done

    def score(self):
        """The baseline on validation; winner and baseline on the test batches, which become the bundle's reference."""
        from flows import plan
        from problem.candidates import CANDIDATES, baseline

        split, name = self.plan.split, self.winner
        learn = split.train + split.validation
        validated = self.try_out("baseline", baseline, split.train, split.validation, "validation")
        tested = [
            self.try_out(name, CANDIDATES[name].make, learn, split.test, "test"),
            self.try_out("baseline", baseline, learn, split.test, "test"),
        ]
        plan.write_reference(self.settings, split.validation + split.test, self.arrays, self.winner)
        return validated, tested

    def release(self):
        """Fit the winner on everything and put the compiled model where the bundle will be; return the parity."""
        from problem.candidates import CANDIDATES
        from stores import bundle
        from training.release import release

        estimator = CANDIDATES[self.winner].make(SimpleNamespace(**self.columns))
        check = self.arrays.part(self.plan.split.validation)[0]
        made = release(estimator, *self.arrays.part(self.plan.split.all), check, self.columns["categorical"])
        bundle.write_model(self.arrays.folder / "bundle", made.model, made.probe, made.answers)
        return made.parity


if __name__ == "__main__":
    side_by_side()
    TrainFlow()
