"""Score: tables in files or of a query -> the answers of the service, its logs, and a receipt for each table."""

import sys

from metaflow import FlowSpec, Parameter, environment, schedule, step

from flows.steps.errors import end_refused_pods, stop_with_one_sentence
from flows.steps.processes.parallel import SINGLE_THREAD_ENVIRONMENT, limit_parallel_tasks
from flows.steps.processes.pods import get_daily_schedule, run_code_of_image
from flows.steps.processes.task_forks import REGISTRY_MODULES, fork_tasks
from flows.steps.results import say_result
from flows.steps.shared.shared_work import share_work

IMPORTED_AHEAD = (
    *("penumbra.core.loading.project_loading", "flows.steps.score.scoring", "flows.steps.score.shared_parts"),
    *("service.processes.deployment.deployer", *REGISTRY_MODULES),
)


@schedule(**get_daily_schedule("score"))
class ScoreFlow(FlowSpec):
    """Answer the rows of tables with the live model, its rules and its contract."""

    source = Parameter("input", default="", help="files or a query; score.input of settings by default")
    output = Parameter("out", default="", help="a file or a folder; score.output of settings by default")
    database = Parameter("database", default="", help="the database of a query; score.database by default")
    explain = Parameter("explain", default=False, type=bool, help="also why: how far each feature moved the score")
    uncertainty = Parameter("uncertainty", default=False, type=bool, help="also how sure the answers are")
    again = Parameter("again", default=False, type=bool, help="score tables anew that are done")

    @step
    def start(self):
        """Find the tables; those that are begun go on."""
        from flows.steps.processes.parallel import count_parallel_tasks, split_jobs
        from flows.steps.score import score_order, scoring
        from flows.steps.score.parts import part_scoring
        from penumbra.core.loading.project_loading import load_project

        with stop_with_one_sentence(*scoring.SCORE_ERRORS):
            asked = {"again": self.again, "explain": self.explain, "uncertainty": self.uncertainty}
            settings, problem = load_project(part_scoring.SCORED_PARTS)
            places = self.source, self.output, self.database
            self.order = score_order.make_order(settings.score, *places, problem, **asked)
        with share_work("score", self.order.job), stop_with_one_sentence(*scoring.SCORE_ERRORS):
            self.busy = list[str]()
            tables = score_order.begin_tables(settings, self.order, self.busy)
            self.shares = split_jobs(tables, min(count_parallel_tasks(), len(tables)))
        self.next(self.score, foreach="shares")

    @environment(vars=SINGLE_THREAD_ENVIRONMENT)
    @step
    def score(self):
        """Score some tables, and write the output and the receipt of each."""
        from flows.steps.score import scoring
        from flows.steps.score.parts import part_scoring
        from penumbra.core.loading.project_loading import load_project

        with share_work("score", self.order.job), stop_with_one_sentence(*scoring.SCORE_ERRORS):
            given = self.order, self.input, len(self.shares)
            self.receipts, self.refused = scoring.score_share(*load_project(part_scoring.SCORED_PARTS), *given)
        self.next(self.report)

    @step
    def report(self, inputs):
        """Say what became of the rows (`inputs`: the tasks of `score`); tables that can't be scored end the flow."""
        from flows.steps.score.receipts import NothingAnswered, format_receipts, require_all_scored, require_answers
        from flows.steps.score.scoring import SCORE_ERRORS
        from flows.steps.score.shared_parts import SharedParts
        from penumbra.core.loading.project_loading import load_project

        with stop_with_one_sentence(*SCORE_ERRORS):
            settings, problem = load_project(["schema"])
            if shared := SharedParts.from_settings(settings, inputs[0].order.job):
                shared.remove_done()
        scored = [receipt for task in inputs for receipt in task.receipts]
        say_result("\n".join(format_receipts(scored, problem.schema)))
        with stop_with_one_sentence(*SCORE_ERRORS, NothingAnswered):
            require_all_scored([*inputs[0].busy, *(sentence for task in inputs for sentence in task.refused)])
            require_answers(scored)
        self.next(self.end)

    @step
    def end(self):
        """End the flow."""


if __name__ == "__main__":
    limit_parallel_tasks()
    run_code_of_image(sys.argv)
    with fork_tasks(sys.argv, IMPORTED_AHEAD), end_refused_pods():
        ScoreFlow()
