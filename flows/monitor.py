"""Monitor: prediction log and labels -> windows -> verdicts -> ledger, alarms, and a training where that is due."""

from metaflow import FlowSpec, schedule, step

from flows.common import one_sentence


@schedule(daily=True)
class MonitorFlow(FlowSpec):
    @step
    def start(self):
        """Judge the windows that are due, enter what is new, and tell people."""
        import settings
        from flows.watch import watching, webhook

        with one_sentence(*watching.EXPECTED):
            self.settings = settings.load()
            self.alarms = watching.watch(self.settings)
        webhook.post(self.settings.monitor.webhook, self.alarms)
        self.next(self.respond)

    @step
    def respond(self):
        """Retrain where a verdict asks for it."""
        from flows.experiments import plan
        from flows.watch import retraining, watching, webhook

        ways = retraining.deployed() if retraining.is_deployed() else retraining.locally()
        with one_sentence(*watching.EXPECTED, *plan.EXPECTED):
            self.said = retraining.respond(self.settings, *ways)
        webhook.post(self.settings.monitor.webhook, [self.said] if self.said else [])
        self.next(self.report)

    @step
    def report(self):
        """Make the reports of the windows that have none."""
        from flows.watch import reporting, watching

        with one_sentence(*watching.EXPECTED):
            self.pages = [str(page) for page in reporting.publish(self.settings)]
        self.next(self.end)

    @step
    def end(self):
        """Show the last windows, and make the overview anew."""
        from flows import overview
        from flows.watch import windows

        print(windows.words(self.settings, self.alarms, self.said))
        print(f"The loop on one page: {overview.write(self.settings)}")


if __name__ == "__main__":
    MonitorFlow()
