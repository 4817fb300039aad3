"""Experiment: one candidate, on a sample first and then in full, judged on the validation batches and recorded."""

import sys

from metaflow import FlowSpec, Parameter, current, environment, resources, retry, step

from flows.steps.errors import end_refused_pods, stop_with_one_sentence
from flows.steps.processes.flow_locks import hold_flow_locks
from flows.steps.processes.pods import get_fit_environment, get_fit_resources, run_code_of_image
from flows.steps.processes.task_forks import REGISTRY_MODULES, fork_tasks
from flows.steps.results import say_result
from flows.steps.shared.shared_work import share_work
from penumbra.core.system.lean_imports import UNUSED

IMPORTED_AHEAD = (
    *UNUSED,
    *(
        "penumbra.core.loading.project_loading",
        "flows.steps.train.experiment_run",
        "flows.steps.train.settlement",
        "flows.steps.train.trials.screening",
    ),
    "sklearn.ensemble",
)
IMPORTED_LATER = (
    "flows.steps.train.trials.shipping",
    "flows.steps.train.experiment_record",
    *REGISTRY_MODULES,
)


class ExperimentFlow(FlowSpec):
    """Try one candidate; the test batches stay unseen, and nothing is registered."""

    only = Parameter("only", required=True, help="the candidate's name in problem/candidates.py")

    @environment(vars=get_fit_environment())
    @resources(**get_fit_resources())
    @step
    def start(self):
        """Write the matrices where every task can map them, and try the candidate on a sample."""
        from flows.steps.train import experiment_run, matrices, plan, settlement
        from flows.steps.train.trials import screening
        from penumbra.registry.tracking.lazy_errors import handle_registry_errors

        errors = stop_with_one_sentence(*plan.PLAN_ERRORS)
        with share_work("train", name_run_folder()), errors, handle_registry_errors(stop_with_one_sentence):
            prepared = experiment_run.begin_experiment(self.only, name_run_folder())
            self.settings, self.plan, self.matrices = prepared.settings, prepared.plan, prepared.matrices
            rejections, remarks = screening.screen_run(self.matrices, [self.only], self.plan)
            print(*remarks, *rejections, sep="\n")
            rows = self.settings.training.quick_rows
            print(experiment_run.try_sample(self.matrices, self.only, self.plan.split, rows))
            experiment_run.ship_sample(self.matrices, self.only, self.plan.split)
            settlement.require_registry(self.settings)
        self.jobs = matrices.list_trial_jobs(self.matrices.problem, [self.only])
        self.next(self.fit, foreach="jobs")

    @retry(times=1, minutes_between_retries=0)
    @environment(vars=get_fit_environment())
    @resources(**get_fit_resources())
    @step
    def fit(self):
        """Try the candidate in full; if it has a search, each search for its parameters is a task of its own."""
        from flows.steps.train import experiment_run

        with share_work("train", name_run_folder()):
            self.result = experiment_run.run_full_trial(self.matrices, self.input, self.plan.split)
        self.next(self.judge)

    @environment(vars=get_fit_environment())
    @resources(**get_fit_resources())
    @step
    def judge(self, inputs):
        """Compare the best trial with baseline and live model, and record it (`inputs`: the tasks of `fit`)."""
        from flows.steps.train import experiment_record, experiment_run
        from penumbra.registry.models import REGISTRY_ERRORS
        from penumbra.training.rejection import TrainingRefused

        self.merge_artifacts(inputs, include=["settings", "plan", "matrices"])
        with share_work("train", name_run_folder()), stop_with_one_sentence(TrainingRefused, *REGISTRY_ERRORS):
            best = experiment_run.choose_best_trial([task.result for task in inputs])
            say_result(experiment_record.conclude_experiment(self.settings, self.plan, self.matrices, *best))
        self.next(self.end)

    @step
    def end(self):
        """End the flow."""


def name_run_folder():
    """Name the folder of this run beside those of trainings."""
    return f"experiment-{current.run_id}"


if __name__ == "__main__":
    run_code_of_image(sys.argv)
    with (
        fork_tasks(sys.argv, IMPORTED_AHEAD, IMPORTED_LATER),
        hold_flow_locks("experiment", sys.argv),
        end_refused_pods(),
    ):
        ExperimentFlow()
