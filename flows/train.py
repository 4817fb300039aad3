"""Train: data version -> candidates side by side -> choose -> score on later data -> gate -> bundle -> registry."""

import sys

from metaflow import FlowSpec, Parameter, card, current, environment, resources, retry, step, trigger

from flows.steps.errors import FlowStopped, end_refused_pods, stop_with_one_sentence
from flows.steps.flow_locks import hold_flow_locks
from flows.steps.parallel import count_parallel_tasks, distribute_jobs, limit_parallel_tasks
from flows.steps.pods import get_fit_environment, get_fit_resources, run_code_of_image
from flows.steps.results import say_result
from flows.steps.shared_work import share_work
from flows.steps.task_forks import fork_tasks

IMPORTED_AHEAD = (
    *("penumbra.core.loading.project_loading", "flows.steps.train.registration", "flows.steps.train.evaluation"),
    *("flows.steps.train.trials.screening", "sklearn.ensemble", "vl_convert", "metaflow.cards"),
)


@trigger(event={"name": "penumbra-retrain", "parameters": {"reason": "reason"}})
class TrainFlow(FlowSpec):
    """Fit the candidates, judge the best one on later data, and register it."""

    reason = Parameter("reason", default="", help="why, for the run; the monitor says so")
    doctor = Parameter("doctor", default="on", help='"on", or "skipped: " and why: the gate records it')

    @step
    def start(self):
        """Write the matrices where every task can map them, and deal the candidates to the tasks that run at once."""
        from flows.steps import admission
        from flows.steps.train import gate_evaluation, matrices, plan, registration
        from flows.steps.train.trials import screening
        from penumbra.approvals.accepted_faults import include_accepted_faults
        from penumbra.core.loading.project_loading import load_project
        from penumbra.registry.bundles.signatures import require_signing_key

        errors = *plan.PLAN_ERRORS, *registration.REGISTRATION_ERRORS
        with share_work("train", current.run_id), stop_with_one_sentence(*errors):
            self.doctor_skipped = gate_evaluation.read_skip_reason(self.doctor)
            settings, problem = load_project()
            self.settings = include_accepted_faults(settings)
            registration.prepare_registration(self.settings)
            require_signing_key(self.settings.registry.signed_by)
            admission.require_registry(self.settings)
            admission.prepare_data(self.settings, problem)
            self.plan = plan.make_plan(self.settings, problem)
            folder = self.settings.training.folder / current.run_id
            self.matrices = matrices.write_matrices(self.settings, problem, self.plan.split.all, folder)
            names = self.settings.training.candidates
            self.rejections, self.remarks = screening.screen_run(self.matrices, names, self.plan)
        rejected = {rejection.candidate for rejection in self.rejections}
        jobs = matrices.list_trial_jobs(problem, [name for name in names if name not in rejected])
        self.lanes = distribute_jobs(jobs, count_parallel_tasks())
        self.next(self.fit, foreach="lanes")

    @retry(times=4, minutes_between_retries=0)
    @environment(vars=get_fit_environment())
    @resources(**get_fit_resources())
    @step
    def fit(self):
        """Fit some candidates on the training batches and score them on the validation batches.

        A candidate that fails is left out. One that takes the process down is left out when the task is retried, which
        Metaflow does four times at most.
        """
        from flows.steps.train.trials import attempts

        with share_work("train", current.run_id):
            self.lane = attempts.run_lane(self.matrices, self.input, self.plan.split)
        self.next(self.select)

    @step
    def select(self, inputs):
        """Rank the candidates by their loss on validation (`inputs`: the tasks of `fit`).

        Another than the live model's recipe has to be shown to be better than that.
        """
        from flows.steps.train.trials import selection
        from penumbra.registry.models import REGISTRY_ERRORS
        from penumbra.training.rejection import TrainingRefused

        self.merge_artifacts(inputs, include=["settings", "plan", "matrices", "doctor_skipped", "remarks"])
        results = [*inputs[0].rejections, *(result for lane in inputs for result in lane.lane)]
        with share_work("train", current.run_id), stop_with_one_sentence(TrainingRefused, *REGISTRY_ERRORS):
            self.trials, self.rejections = selection.split_results(results)
            self.ranking = selection.rank_candidates(self.settings, self.plan, self.matrices, self.trials)
        self.next(self.finals)

    @step
    def finals(self):
        """List the winner's last jobs; the doctor examines the data beside them, unless it is skipped."""
        self.jobs = ["release", "score", *([] if self.doctor_skipped else ["examine"])]
        self.next(self.refit, foreach="jobs")

    @retry(times=1, minutes_between_retries=0)
    @environment(vars=get_fit_environment())
    @resources(**get_fit_resources())
    @step
    def refit(self):
        """Side by side: fit the winner on everything, score winner and baseline on the test batches, examine data."""
        from flows.steps.train import final_fit
        from penumbra.training.rejection import TrainingRefused

        with share_work("train", current.run_id), stop_with_one_sentence(TrainingRefused):
            if self.input == "release":
                final_fit.try_release(self.matrices, self.ranking[0], self.plan.split)
            elif self.input == "score":
                self.baseline = final_fit.score_baseline_parts(self.matrices, self.plan.split)
                final_fit.try_scores(self.settings, self.matrices, self.ranking[0], self.plan.split)
            else:
                final_fit.examine_data(self.settings, self.matrices)
        self.next(self.register)

    @card(type="blank")
    @step
    def register(self, inputs):
        """Run the gate, write bundle and runs, set the alias, and show it all (`inputs`: the tasks of `refit`).

        If the best candidate can't be released, the next best goes.
        """
        from flows.steps.train import evaluation, final_fit, outcome, registration
        from penumbra.training.rejection import TrainingRefused

        _, score, *_ = inputs
        run = score.settings, score.plan, score.matrices
        errors = TrainingRefused, *registration.REGISTRATION_ERRORS
        with share_work("train", current.run_id), stop_with_one_sentence(*errors):
            final = final_fit.settle_winner(*run, score.ranking, score.baseline)
            doctor_skipped = score.doctor_skipped or final_fit.examine_data(score.settings, score.matrices)
            remarks = [*score.remarks, *map(str, [*score.rejections, *final.rejections])]
            result = outcome.evaluate_winner(*run, final, score.trials, remarks, doctor_skipped)
            specs = evaluation.write_evaluation(result)
            text = registration.register_outcome(result, self.reason)
        evaluation.fill_training_card(result, text, specs)
        say_result(text)
        self.next(self.end)

    @step
    def end(self):
        """End the flow."""


def is_trained_meanwhile():
    """Tell whether another training, which this one has waited for, has made what this one would make.

    Raises:
        SystemExit: With one sentence, as Metaflow, which prints such errors, hasn't begun.
    """
    from flows.steps.train import plan, registration, settlement
    from penumbra.core.loading.project_loading import load_project

    try:
        with stop_with_one_sentence(*plan.PLAN_ERRORS, *registration.REGISTRATION_ERRORS):
            return settlement.settle_training(*load_project())
    except FlowStopped as error:
        sys.exit(str(error))


if __name__ == "__main__":
    limit_parallel_tasks()
    run_code_of_image(sys.argv)
    fork_tasks(sys.argv, IMPORTED_AHEAD)
    with hold_flow_locks("train", sys.argv) as has_waited:
        if not (has_waited and is_trained_meanwhile()):
            with end_refused_pods():
                TrainFlow()
