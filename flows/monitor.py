"""Monitor: prediction log and labels -> windows -> verdicts -> ledger, alarms, and a training where that is due."""

import sys

from metaflow import FlowSpec, current, environment, schedule, step

from flows.steps.errors import end_refused_pods, is_deployed, stop_with_one_sentence
from flows.steps.processes.parallel import SINGLE_THREAD_ENVIRONMENT, count_parallel_tasks, limit_parallel_tasks
from flows.steps.processes.pods import get_daily_schedule, run_code_of_image
from flows.steps.processes.task_forks import fork_tasks
from flows.steps.shared.shared_work import share_work

IMPORTED_AHEAD = (
    *("flows.steps.monitor.backlog", "flows.steps.monitor.retraining", "flows.steps.monitor.reports"),
    *("monitoring.dashboard.overview.overview_page", "flows.steps.monitor.registry_imports"),
)
IMPORTED_FOR_WINDOWS, IMPORTED_FOR_REPORTS = "flows.steps.monitor.window_imports", "flows.steps.monitor.report_imports"


@schedule(**get_daily_schedule("monitor"))
class MonitorFlow(FlowSpec):
    @environment(vars=SINGLE_THREAD_ENVIRONMENT)
    @step
    def start(self):
        """Judge the windows that are due, enter what is new, and tell people; or deal many out to be measured."""
        from flows.steps.monitor import backlog, monitor_pass
        from penumbra.approvals.accepted_faults import include_accepted_faults
        from penumbra.core.loading.project_loading import load_project
        from penumbra.core.system.webhook import post_alarms

        with share_work("monitor"), stop_with_one_sentence(*monitor_pass.MONITOR_ERRORS):
            settings, self.problem = load_project()
            self.settings = include_accepted_faults(settings)
            self.backlog = backlog.begin_backlog(self.settings, self.problem, current.run_id, count_parallel_tasks())
        self.alarms, self.shares = self.backlog.alarms, self.backlog.shares
        post_alarms(self.settings.monitor.webhook, self.alarms)
        self.work = "many" if self.shares else "done"
        self.next({"many": self.share, "done": self.respond}, condition="work")

    @step
    def share(self):
        """Start a task for each share of the windows."""
        self.next(self.measure, foreach="shares")

    @environment(vars=SINGLE_THREAD_ENVIRONMENT)
    @step
    def measure(self):
        """Measure some windows; nothing follows from that yet."""
        from flows.steps.monitor import backlog, monitor_pass

        with share_work("monitor"), stop_with_one_sentence(*monitor_pass.MONITOR_ERRORS):
            self.measured = backlog.measure_share(self.settings, self.problem, self.backlog, self.input, current.run_id)
        self.next(self.judge)

    @step
    def judge(self, inputs):
        """Judge all windows in the order of time (`inputs`: the tasks of `measure`), enter what is new, tell people."""
        from flows.steps.monitor import backlog, monitor_pass
        from penumbra.core.system.webhook import post_alarms

        self.merge_artifacts(inputs, include=["settings", "problem", "backlog"])
        measured = [window for task in inputs for window in task.measured]
        with share_work("monitor"), stop_with_one_sentence(*monitor_pass.MONITOR_ERRORS):
            self.alarms = backlog.judge_backlog(self.settings, self.problem, self.backlog, measured)
        post_alarms(self.settings.monitor.webhook, self.alarms)
        self.next(self.respond)

    @step
    def respond(self):
        """Retrain where a verdict asks for it, and people approved it where they have to."""
        from flows.steps.monitor import monitor_pass, retraining
        from flows.steps.train import plan
        from penumbra.approvals.announcements import announce_approvals
        from penumbra.core.system.webhook import post_alarms

        ways = retraining.make_deployed_runners() if is_deployed() else retraining.make_local_runners()
        with share_work("monitor"), stop_with_one_sentence(*monitor_pass.MONITOR_ERRORS, *plan.PLAN_ERRORS):
            self.said = retraining.respond_to_verdict(self.settings, self.problem, *ways)
            announce_approvals(self.settings)
        post_alarms(self.settings.monitor.webhook, [self.said] if self.said else [])
        self.next(self.report)

    @environment(vars=SINGLE_THREAD_ENVIRONMENT)
    @step
    def report(self):
        """Make the reports of the windows that have none."""
        from flows.steps.monitor import reports
        from monitoring.windows.window_store import DamagedWindow

        with share_work("monitor"), stop_with_one_sentence(reports.ReportsFailed, DamagedWindow):
            self.pages = [str(page) for page in reports.publish_reports(self.settings)]
        self.next(self.end)

    @step
    def end(self):
        """Show the last windows, and make the overview anew."""
        from flows.steps.monitor import window_summary
        from monitoring.dashboard.overview import overview_page

        monitor, today = self.settings.monitor, self.settings.data.today
        with share_work("monitor"):
            print(window_summary.format_window_summary(monitor, today, self.alarms, self.said))
            page = overview_page.write_overview(self.settings, self.problem, flow_run=current.run_id)
            print(f"The loop on one page: {page}")


if __name__ == "__main__":
    limit_parallel_tasks()
    run_code_of_image(sys.argv)
    with fork_tasks(sys.argv, (*IMPORTED_AHEAD, IMPORTED_FOR_WINDOWS), [IMPORTED_FOR_REPORTS]), end_refused_pods():
        MonitorFlow()
