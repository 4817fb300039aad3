"""Train: data version -> candidates side by side -> choose -> score on later data -> gate -> bundle -> registry."""

from metaflow import FlowSpec, Parameter, card, current, environment, step, trigger

from flows.steps.errors import stop_with_one_sentence
from flows.steps.parallel import (
    SINGLE_THREAD_ENVIRONMENT,
    count_parallel_tasks,
    distribute_jobs,
    limit_parallel_tasks,
)


@trigger(event={"name": "penumbra-retrain", "parameters": {"reason": "reason"}})
class TrainFlow(FlowSpec):
    reason = Parameter("reason", default="", help="why, for the run; the monitor says so")

    @step
    def start(self):
        """Put the matrices where every task can map them, and deal the candidates to as many tasks as run at once."""
        from flows.steps.train import excluded_days, matrices, plan
        from penumbra.core.settings import load_settings

        with stop_with_one_sentence(*plan.PLAN_ERRORS):
            self.settings = load_settings()
            self.plan = plan.make_plan(self.settings)
            print(excluded_days.describe_excluded_days(self.plan.facts["left_out"]))
            folder = self.settings.training.folder / current.run_id
            self.matrices = matrices.write_matrices(self.settings, self.plan.split.all, folder)
        self.lanes = distribute_jobs(
            matrices.list_trial_jobs(self.settings.training.candidates), count_parallel_tasks()
        )
        self.next(self.fit, foreach="lanes")

    @environment(vars=SINGLE_THREAD_ENVIRONMENT)
    @step
    def fit(self):
        """Some candidates, each of which learns from the training batches and is scored on the validation batches."""
        split = self.plan.split
        self.lane = [
            self.matrices.try_candidate(job, split.train, split.validation, "validation")[0] for job in self.input
        ]
        self.next(self.select)

    @step
    def select(self, inputs):
        """The lowest mean loss on validation wins; against the live recipe it has to be shown to be lower."""
        from flows.steps.train import selection

        self.merge_artifacts(inputs, include=["settings", "plan", "matrices"])
        self.trials = [trial for each in inputs for trial in each.lane]
        self.winner = selection.choose_winner(self.settings, self.plan, self.matrices, self.trials)
        self.next(self.finals)

    @step
    def finals(self):
        self.jobs = ["release", "score", "examine"]
        self.next(self.refit, foreach="jobs")

    @environment(vars=SINGLE_THREAD_ENVIRONMENT)
    @step
    def refit(self):
        """Side by side: the winner on everything, to be shipped; winner and baseline on the test batches; the data."""
        from flows.steps.doctor import examination
        from flows.steps.train import final_fit

        if self.input == "release":
            self.cost = final_fit.release_winner(self.matrices, self.winner, self.plan.split)
        elif self.input == "score":
            self.baseline, self.tested = final_fit.score_test_batches(
                self.settings, self.matrices, self.winner, self.plan.split
            )
        else:
            examination.list_unaccepted_findings(self.settings)
        self.next(self.register)

    @card(type="blank")
    @step
    def register(self, inputs):
        """Hold the winner at the gate, write bundle and runs, give the version its alias, and show the comparison."""
        from flows.steps.train import evaluation, registration

        release, score, _ = inputs
        outcome = registration.build_outcome(score, [*score.trials, score.baseline], release.cost)
        pictures = evaluation.write_evaluation(outcome)
        text = registration.register_outcome(outcome, self.reason)
        evaluation.fill_training_card(outcome, text, pictures)
        print(text)
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    limit_parallel_tasks()
    TrainFlow()
