"""Experiment: one candidate, on a sample first and then in full, judged on the validation batches and recorded."""

from metaflow import FlowSpec, Parameter, current, environment, step

from flows.common import ONE_THREAD, one_sentence


class ExperimentFlow(FlowSpec):
    only = Parameter("only", required=True, help="the candidate's name in problem/candidates.py")

    @environment(vars=ONE_THREAD)
    @step
    def start(self):
        """Put the matrices where every task can map them, and have a quick look at the candidate on a sample."""
        import settings
        from flows.experiments import matrices, plan, trying

        with one_sentence(*plan.EXPECTED):
            self.settings = trying.only(settings.load(), self.only)
            self.plan = plan.make(self.settings)
            folder = self.settings.training.folder / f"experiment-{current.run_id}"
            self.matrices = matrices.write(self.settings, self.plan.split.before_test, folder)
        print(trying.quick_look(self.matrices, self.settings, self.plan.split))
        self.jobs = matrices.jobs([self.only])
        self.next(self.fit, foreach="jobs")

    @environment(vars=ONE_THREAD)
    @step
    def fit(self):
        """The candidate in full; where it has a search, each search for its parameters is a task of its own."""
        from flows.experiments import trying

        self.trial, self.cost = trying.in_full(self.matrices, self.input, self.plan.split)
        self.next(self.judge)

    @environment(vars=ONE_THREAD)
    @step
    def judge(self, inputs):
        """Hold the best of them against baseline and live model, record it and say what came of it."""
        from flows.experiments import trying

        self.merge_artifacts(inputs, include=["settings", "plan", "matrices"])
        best = min(inputs, key=lambda each: each.trial.loss)
        print(trying.judged(self.settings, self.plan, self.matrices, best.trial, best.cost))
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    ExperimentFlow()
