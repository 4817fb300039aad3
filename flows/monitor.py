"""Monitor: prediction log and labels -> windows -> verdicts -> ledger, alarms, and a training where that is due."""

import sys

from metaflow import FlowSpec, schedule, step

from flows.steps.errors import stop_with_one_sentence
from flows.steps.pods import get_daily_schedule, run_code_of_image
from flows.steps.shared_work import share_work


@schedule(**get_daily_schedule("monitor"))
class MonitorFlow(FlowSpec):
    @step
    def start(self):
        """Judge the windows that are due, enter what is new, and tell people."""
        from flows.steps.monitor import due_windows
        from penumbra.approvals.accepted_faults import include_accepted_faults
        from penumbra.core.project_loading import load_project
        from penumbra.core.webhook import post_alarms

        with share_work("monitor"), stop_with_one_sentence(*due_windows.MONITOR_ERRORS):
            settings, self.problem = load_project()
            self.settings = include_accepted_faults(settings)
            self.alarms = due_windows.judge_due_windows(self.settings, self.problem)
        post_alarms(self.settings.monitor.webhook, self.alarms)
        self.next(self.respond)

    @step
    def respond(self):
        """Retrain where a verdict asks for it, and people approved it where they have to."""
        from flows.steps.monitor import due_windows, retraining
        from flows.steps.train import plan
        from penumbra.approvals.announcements import announce_approvals
        from penumbra.core.webhook import post_alarms

        ways = retraining.make_deployed_runners() if retraining.is_deployed() else retraining.make_local_runners()
        with share_work("monitor"), stop_with_one_sentence(*due_windows.MONITOR_ERRORS, *plan.PLAN_ERRORS):
            self.said = retraining.respond_to_verdict(self.settings, self.problem, *ways)
            announce_approvals(self.settings)
        post_alarms(self.settings.monitor.webhook, [self.said] if self.said else [])
        self.next(self.report)

    @step
    def report(self):
        """Make the reports of the windows that have none."""
        from flows.steps.monitor import reports
        from monitoring.window_store import DamagedWindow

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
            print(f"The loop on one page: {overview_page.write_overview(self.settings, self.problem)}")


if __name__ == "__main__":
    run_code_of_image(sys.argv)
    MonitorFlow()
