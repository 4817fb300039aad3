"""Train: data version -> candidates side by side -> choose -> score on later data -> gate -> bundle -> registry."""

import sys

from metaflow import FlowSpec, Parameter, card, current, environment, resources, retry, step, trigger

from flows.steps.errors import FlowStopped, end_refused_pods, stop_with_one_sentence
from flows.steps.processes.flow_locks import hold_flow_locks
from flows.steps.processes.parallel import count_parallel_tasks, distribute_jobs, limit_parallel_tasks
from flows.steps.processes.pods import get_fit_environment, get_fit_resources, run_code_of_image
from flows.steps.processes.task_forks import REGISTRY_MODULES, fork_tasks
from flows.steps.results import say_result
from flows.steps.shared.shared_work import share_work
from penumbra.core.system.lean_imports import UNUSED

IMPORTED_AHEAD = (
    *UNUSED,
    *("penumbra.core.loading.project_loading", "flows.steps.train.settlement", "flows.steps.train.trials.screening"),
    "sklearn.ensemble",
)
IMPORTED_LATER = (
    *(
        "flows.steps.train.trials.shipping",
        "flows.steps.train.release.registration",
        "flows.steps.train.evaluation",
        "flows.steps.train.final_jobs",
    ),
    *("flows.steps.train.trials.selection", *REGISTRY_MODULES, "vl_convert", "metaflow.cards"),
)
DOCTOR = "doctor"  # in place of a lane of candidates: who examines the data beside them


@trigger(event={"name": "penumbra-retrain", "parameters": {"reason": "reason"}})
class TrainFlow(FlowSpec):
    """Fit the candidates, judge the best one on later data, and register it."""

    reason = Parameter("reason", default="", help="why, for the run; the monitor says so")
    doctor = Parameter("doctor", default="on", help='"on", or "skipped: " and why: the gate records it')

    @step
    def start(self):
        """Write the matrices where every task can map them, and deal the candidates to the tasks that run at once."""
        from flows.steps.ingest import admission
        from flows.steps.train import matrices, matrix_writing, plan, settlement
        from flows.steps.train.trials import screening
        from penumbra.approvals.accepted_faults import include_accepted_faults
        from penumbra.core.loading.project_loading import load_project
        from penumbra.registry.bundles.signatures import require_signing_key
        from penumbra.registry.history.ledger_entries import BrokenLedger
        from penumbra.registry.tracking.lazy_errors import handle_registry_errors

        errors = stop_with_one_sentence(*plan.PLAN_ERRORS, BrokenLedger)
        with share_work("train", current.run_id), errors, handle_registry_errors(stop_with_one_sentence):
            self.doctor_skipped = plan.read_skip_reason(self.doctor)
            settings, problem = load_project()
            self.settings = include_accepted_faults(settings)
            settlement.prepare_registry(self.settings)
            require_signing_key(self.settings.registry.signed_by)
            admission.prepare_data(self.settings, problem)
            self.plan = plan.make_plan(self.settings, problem)
            folder = self.settings.training.folder / current.run_id
            self.matrices = matrix_writing.write_matrices(self.settings, problem, self.plan.split.all, folder)
            names = self.settings.training.candidates
            self.rejections, self.remarks = screening.screen_run(self.matrices, names, self.plan)
        rejected = {rejection.candidate for rejection in self.rejections}
        jobs = matrices.list_trial_jobs(problem, [name for name in names if name not in rejected])
        lanes = distribute_jobs(jobs, count_parallel_tasks())
        self.lanes = lanes if self.doctor_skipped else [*lanes, DOCTOR]
        self.next(self.fit, foreach="lanes")

    @retry(times=4, minutes_between_retries=0)
    @environment(vars=get_fit_environment())
    @resources(**get_fit_resources())
    @step
    def fit(self):
        """Fit some candidates on the training batches and score them on the validation batches, or examine the data.

        A candidate that fails is left out. One that takes the process down is left out when the task is retried, which
        Metaflow does four times at most.
        """
        from flows.steps.train import final_fit
        from flows.steps.train.trials import attempts

        with share_work("train", current.run_id):
            is_lane = self.input != DOCTOR
            self.lane = attempts.run_lane(self.matrices, self.input, self.plan.split) if is_lane else []
            if not is_lane:
                final_fit.examine_data(self.settings, self.matrices)
        self.next(self.select)

    @step
    def select(self, inputs):
        """Rank the candidates by their loss on validation (`inputs`: the tasks of `fit`).

        Another than the live model's recipe has to be shown to be better than that.
        """
        from flows.steps.train.trials import selection
        from penumbra.registry.models import REGISTRY_ERRORS
        from penumbra.training.rejection import TrainingRefused

        run = inputs[0]
        self.settings, self.plan, self.matrices = run.settings, run.plan, run.matrices
        self.doctor_skipped, self.remarks = run.doctor_skipped, run.remarks
        results = [*run.rejections, *(result for lane in inputs for result in lane.lane)]
        with share_work("train", current.run_id), stop_with_one_sentence(TrainingRefused, *REGISTRY_ERRORS):
            self.trials, self.rejections = selection.split_results(results)
            self.ranking = selection.rank_candidates(self.settings, self.plan, self.matrices, self.trials)
        self.next(self.finals)

    @step
    def finals(self):
        """List the winner's last jobs."""
        self.jobs = ["release", "evaluate"]
        self.next(self.refit, foreach="jobs")

    @retry(times=1, minutes_between_retries=0)
    @environment(vars=get_fit_environment())
    @resources(**get_fit_resources())
    @step
    def refit(self):
        """Side by side: fit the winner on everything, and evaluate winner and baseline on the test batches."""
        from flows.steps.train import final_jobs
        from penumbra.registry.models import REGISTRY_ERRORS
        from penumbra.training.rejection import TrainingRefused

        run = self.settings, self.plan, self.matrices, self.ranking[0]
        with share_work("train", current.run_id), stop_with_one_sentence(TrainingRefused, *REGISTRY_ERRORS):
            if self.input == "release":
                final_jobs.release_winner_once(*run)
            else:
                self.baseline = final_jobs.evaluate_winner_once(*run)
        self.next(self.register)

    @card(type="blank")
    @step
    def register(self, inputs):
        """Run the gate, write bundle and runs, set the alias, and show it all (`inputs`: the tasks of `refit`).

        If the best candidate can't be released, the next best goes.
        """
        from flows.steps.train import evaluation, final_fit
        from flows.steps.train.release import outcome, registration
        from penumbra.training.rejection import TrainingRefused

        _, judged = inputs
        run = judged.settings, judged.plan, judged.matrices
        errors = TrainingRefused, *registration.REGISTRATION_ERRORS
        with share_work("train", current.run_id), stop_with_one_sentence(*errors):
            final = final_fit.settle_winner(*run, judged.ranking, judged.baseline)
            doctor_skipped = judged.doctor_skipped or final_fit.examine_data(judged.settings, judged.matrices)
            remarks = [*judged.remarks, *map(str, [*judged.rejections, *final.rejections])]
            result = outcome.evaluate_winner(*run, final, judged.trials, remarks, doctor_skipped)
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
    from flows.steps.train import plan, settlement
    from flows.steps.train.release import registration
    from penumbra.core.loading.project_loading import load_project

    try:
        with stop_with_one_sentence(*plan.PLAN_ERRORS, *registration.REGISTRATION_ERRORS):
            return settlement.settle_training(*load_project())
    except FlowStopped as error:
        sys.exit(str(error))


if __name__ == "__main__":
    limit_parallel_tasks()
    run_code_of_image(sys.argv)
    with fork_tasks(sys.argv, IMPORTED_AHEAD, IMPORTED_LATER), hold_flow_locks("train", sys.argv) as has_waited:
        if not (has_waited and is_trained_meanwhile()):
            with end_refused_pods():
                TrainFlow()
