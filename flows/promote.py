"""Promote: shadow, answers and labels -> evidence -> verdict -> ledger and aliases; and back, where that was wrong."""

from metaflow import FlowSpec, Parameter, schedule, step

from flows.common import one_sentence


@schedule(daily=True)
class PromoteFlow(FlowSpec):
    force = Parameter("force", help="promote whatever the evidence says", default=False, type=bool)
    reason = Parameter("reason", help="why, for the ledger", default="")
    version = Parameter("version", help="which to promote by force, instead of the candidate", default="")

    @step
    def start(self):
        """Who is live, candidate and previous."""
        import settings
        from flows.promotion import promoting

        with one_sentence(*promoting.EXPECTED):
            self.settings = settings.load()
            self.aliases = promoting.begin(self.settings)
        self.next(self.judge)

    @step
    def judge(self):
        """Weigh what labels and shadow say, and decide."""
        from flows.promotion import promoting

        forced = promoting.Forced(self.reason, self.version) if self.force else None
        with one_sentence(*promoting.EXPECTED):
            self.cases = promoting.judge(self.settings, self.aliases, forced)
        self.next(self.act)

    @step
    def act(self):
        """Enter the verdicts into the ledger, and move the aliases by them."""
        from flows.promotion import promoting

        with one_sentence(*promoting.EXPECTED):
            print(promoting.act(self.settings, self.cases))
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    PromoteFlow()
