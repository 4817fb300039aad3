"""Promote: shadow, answers and labels -> evidence -> verdict -> ledger and aliases; or a rollback of what was wrong."""

import sys

from metaflow import FlowSpec, Parameter, current, schedule, step

from flows.steps.errors import end_refused_pods, stop_with_one_sentence
from flows.steps.processes.pods import get_daily_schedule, run_code_of_image
from flows.steps.processes.task_forks import REGISTRY_MODULES, fork_tasks
from flows.steps.results import say_result
from flows.steps.shared.shared_work import share_work

IMPORTED_AHEAD = (
    *("penumbra.core.loading.project_loading", "flows.steps.promote.verdicts"),
    *("penumbra.approvals.announcements", *REGISTRY_MODULES),
)


@schedule(**get_daily_schedule("promote"))
class PromoteFlow(FlowSpec):
    """Judge the candidate and the last promotion, and act on the verdicts."""

    force = Parameter("force", help="promote whatever the evidence says", default=False, type=bool)
    reason = Parameter("reason", help="why, for the ledger", default="")
    version = Parameter("version", help="which to promote by force, instead of the candidate", default="")

    @step
    def start(self):
        """Read which versions are live, candidate and previous."""
        from flows.steps.promote import verdicts
        from penumbra.core.loading.project_loading import load_project

        with share_work("promote"), stop_with_one_sentence(*verdicts.PROMOTION_ERRORS):
            self.settings, self.problem = load_project()
            self.aliases = verdicts.prepare_aliases(self.settings)
        self.next(self.judge)

    @step
    def judge(self):
        """Compare the versions by labels and shadow, and decide."""
        from flows.steps.promote import verdicts

        forced = verdicts.ForcedPromotion(self.reason, self.version) if self.force else None
        with share_work("promote"), stop_with_one_sentence(*verdicts.PROMOTION_ERRORS):
            self.cases = verdicts.judge_cases(self.settings, self.problem, self.aliases, forced)
        self.next(self.act)

    @step
    def act(self):
        """Enter the verdicts into the ledger, and move the aliases by them or let them wait for people."""
        from flows.steps.promote import verdicts
        from penumbra.approvals.announcements import announce_approvals

        with share_work("promote"), stop_with_one_sentence(*verdicts.PROMOTION_ERRORS):
            flow_run = current.run_id if self.settings.cluster.state else ""
            say_result(verdicts.act_on_cases(self.settings, self.cases, flow_run))
            announce_approvals(self.settings)
        self.next(self.end)

    @step
    def end(self):
        """End the flow."""


if __name__ == "__main__":
    run_code_of_image(sys.argv)
    with fork_tasks(sys.argv, IMPORTED_AHEAD), end_refused_pods():
        PromoteFlow()
