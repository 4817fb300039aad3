"""What waits for people, read off the ledger: promotions and retrainings to approve, investigations to end."""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec

from penumbra.core.settings import PromotionSettings
from penumbra.core.text.counts import format_count
from penumbra.registry.history.ledger_entries import LedgerEntry, LedgerEvent, format_versions
from penumbra.registry.history.ledger_sync import OVERTAKEN_KEY
from penumbra.registry.pointers import CANDIDATE_ALIAS, LIVE_ALIAS, PREVIOUS_ALIAS

Choice = Literal["approve", "decline", "accept days", "accept columns", "keep"]
RequestKind = Literal["promotion", "retraining", "investigation"]
AnswerWay = Literal["page", "command"]  # by key, or by account
RequestStatus = Literal["waiting", "approved", "declined", "void"]

TERMS_KEY = "approval"  # in a verdict's evidence: its `ApprovalTerms`
REQUEST_KEY = "verdict"  # in the evidence of an answer and of what follows: the number of the verdict's entry
VIA_KEY = "via"  # in the evidence of an answer: by which way it came, `AnswerWay`
NEEDED_KEY = "needed"  # in the evidence of an answer: how many people were asked for by then
APPROVERS_KEY = "approved_by"  # in the evidence of what follows: names
ACCEPTED_KEY = "accept"  # in the evidence of an answer: phrases as in the setting `monitor.accept`
APPROVE, DECLINE, ACCEPT_DAYS, ACCEPT_COLUMNS, KEEP, VOID = (
    "approve",
    "decline",
    "accept days",
    "accept columns",
    "keep",
    "void",
)
KIND_BY_VERDICT: dict[str, RequestKind] = {
    "promote": "promotion",
    "retrain": "retraining",
    "investigate": "investigation",
}
CHOICES_BY_KIND: dict[RequestKind, tuple[str, ...]] = {
    "promotion": (APPROVE, DECLINE),
    "retraining": (APPROVE, DECLINE),
    "investigation": (ACCEPT_DAYS, ACCEPT_COLUMNS, KEEP),
}


class ApprovalRefused(ValueError):
    """An answer can't be taken; the message says why and what to do."""


class ApprovalTerms(msgspec.Struct, frozen=True):
    """What a verdict waits for.

    Attributes:
        approvers: How many different people have to approve it.
        expires: When it is void without them (UTC); None for never.
        forced: Whether a person ordered it, rather than a rule.
    """

    approvers: int
    expires: dt.datetime | None = None
    forced: bool = False


@dataclass(frozen=True)
class ApprovalRequest:
    """A verdict that people decide about, with their answers so far.

    Attributes:
        entry: The verdict's entry.
        terms: What it waits for; None for an investigation that any one person may end.
        answers: The answers, and the end by expiry, oldest first.
    """

    entry: LedgerEntry
    terms: ApprovalTerms | None = None
    answers: tuple[LedgerEvent, ...] = ()

    @property
    def number(self) -> int:
        """The number of the verdict's entry."""
        return self.entry.number

    @property
    def kind(self) -> RequestKind:
        """The kind of decision."""
        return KIND_BY_VERDICT[self.entry.verdict]

    @property
    def needed(self) -> int:
        """The number of people who have to make the same choice: the most that was asked for until an answer."""
        least = self.terms.approvers if self.terms else 1
        return max(least, *(answer.evidence.get(NEEDED_KEY, 1) for answer in self.answers), 1)

    @property
    def latest(self) -> dict[tuple[str, str], LedgerEvent]:
        """Each person's latest answer by way and name, in whatever case that is written: a person counts once."""
        given = [answer for answer in self.answers if answer.verdict != VOID]
        return {(answer.evidence.get(VIA_KEY, ""), answer.actor.casefold()): answer for answer in given}

    @property
    def choices(self) -> dict[str, str]:
        """The latest choice by name."""
        return {answer.actor: answer.verdict for answer in self.latest.values()}

    @property
    def choice(self) -> str:
        """The choice that enough people made, "" while there is none. One person's is enough to decline.

        Those who made it on the page and those who made it by command aren't added up: whether a key's holder and an
        account are two people isn't known.
        """
        counts = Counter((via, answer.verdict) for (via, _), answer in self.latest.items())
        return next((each for (_, each), count in counts.items() if count >= self.needed or each == DECLINE), "")

    @property
    def status(self) -> RequestStatus:
        """Whether it waits, or how it ended."""
        if any(answer.verdict == VOID for answer in self.answers):
            return "void"
        if self.choice == DECLINE:
            return "declined"
        return "approved" if self.choice else "waiting"

    @property
    def is_forced(self) -> bool:
        """Whether a person ordered what the verdict says."""
        return self.terms is not None and self.terms.forced

    @property
    def expiry(self) -> str:
        """When its time ends, in words; "" for never."""
        return f"{self.terms.expires:%Y-%m-%d %H:%M} UTC" if self.terms and self.terms.expires else ""

    @property
    def versions(self) -> tuple[str, str]:
        """The version to promote, and the one that is live; of a promotion only."""
        return self.entry.versions[CANDIDATE_ALIAS], self.entry.versions[LIVE_ALIAS]

    def add_answer(self, answer: LedgerEvent) -> "ApprovalRequest":
        """Add an answer.

        Args:
            answer: The answer's event.

        Returns:
            The request as it is after that answer.
        """
        return replace(self, answers=(*self.answers, answer))

    def require_approvers(self, approvers: int) -> "ApprovalRequest":
        """Raise the number of people who are needed while it waits, where it waits for people by the settings.

        Args:
            approvers: The setting `promotion.approvers`, as it is now.

        Returns:
            The request with the larger of the two numbers.
        """
        if self.terms is None or self.status != "waiting":
            return self
        terms = msgspec.structs.replace(self.terms, approvers=max(approvers, self.needed))
        return replace(self, terms=terms)

    def has_answered(self, name: str, choice: str, via: AnswerWay) -> bool:
        """Say whether a person's latest answer is a choice.

        Args:
            name: The person's name, in whatever case.
            choice: The choice.
            via: The way by which they answer.

        Returns:
            Whether it is.
        """
        answer = self.latest.get((via, name.casefold()))
        return answer is not None and answer.verdict == choice

    def list_approvers(self, choice: str = APPROVE) -> list[str]:
        """List who made a choice.

        Args:
            choice: One of the choices.

        Returns:
            Names, in the order of their first answers.
        """
        return [name for name, made in self.choices.items() if made == choice]

    def has_expired(self, now: dt.datetime) -> bool:
        """Say whether its time is over.

        Args:
            now: The time (UTC).

        Returns:
            False also where it never is.
        """
        return self.terms is not None and self.terms.expires is not None and now >= self.terms.expires

    def describe_waiting(self) -> str:
        """Describe whom it waits for.

        Returns:
            A sentence without its full stop.
        """
        who = format_count(self.needed, "person", "people")
        so_far = f", of whom {' and '.join(self.choices)} answered" if self.choices else ""
        is_mixed = self.needed > 1 and len({via for via, _ in self.latest}) > 1
        same = ": both have to answer on the page, or both by command," if is_mixed else ""
        until = f" until {self.expiry}" if self.expiry else ""
        return f"entry {self.number} waits for {who}{so_far}{same}{until}"

    def __str__(self) -> str:
        """What is asked for, in one sentence."""
        match self.kind:
            case "promotion":
                new, live = self.versions
                forced = "by force " if self.is_forced else ""
                return f"promote version {new} {forced}over version {live}: {self.entry.reason}"
            case "retraining":
                versions = format_versions(self.entry)
                return f"retrain{f' ({versions})' if versions else ''}: {self.entry.reason}"
            case _:
                return f"investigate: {self.entry.reason}"


def make_approval_terms(
    promotion: PromotionSettings, is_forced: bool = False, is_lasting: bool = False
) -> dict[str, Any]:
    """Make the part of a verdict's evidence that lets it wait for people.

    Args:
        promotion: `approvers` and `approval_days` are read.
        is_forced: Whether a person ordered what the verdict says.
        is_lasting: Whether it waits however long it takes.

    Returns:
        `ApprovalTerms` under `TERMS_KEY`, in types of JSON.
    """
    expires = dt.datetime.now(dt.UTC) + dt.timedelta(days=promotion.approval_days)
    terms = ApprovalTerms(promotion.approvers, None if is_lasting else expires, is_forced)
    return {TERMS_KEY: msgspec.to_builtins(terms)}


def list_requests(entries: Sequence[LedgerEntry]) -> list[ApprovalRequest]:
    """List all that people decide or decided about.

    Args:
        entries: The ledger's entries, oldest first.

    Returns:
        Promotions and retrainings that wait or waited for approval, and all investigations, oldest first. A rollback is
        none: what it found is over with it.
    """
    answers: dict[int, list[LedgerEntry]] = {}
    for entry in entries:
        if entry.kind == "approval":
            answers.setdefault(entry.evidence[REQUEST_KEY], []).append(entry)
    return [
        ApprovalRequest(entry, _read_terms(entry), tuple(answers.get(entry.number, ())))
        for entry in entries
        if _is_request(entry)
    ]


def find_request(entries: Sequence[LedgerEntry], number: int) -> ApprovalRequest:
    """Find what an entry of the ledger asks for.

    Args:
        entries: The ledger's entries, oldest first.
        number: The number of a verdict's entry.

    Returns:
        The request, however it ended.

    Raises:
        ApprovalRefused: There is no such entry, or it asks for nothing.
    """
    if not 1 <= number <= len(entries):
        raise ApprovalRefused(f"the ledger has no entry {number}: it has {len(entries)}")
    for request in list_requests(entries):
        if request.number == number:
            return request
    entry = entries[number - 1]
    said = f"{entry.kind} {entry.verdict}" if entry.kind != entry.verdict else entry.kind
    raise ApprovalRefused(f"entry {number} ({said}) waits for nobody: `penumbra approvals` lists what does")


def find_waiting_promotion(entries: Sequence[LedgerEntry], version: str, live: str) -> ApprovalRequest | None:
    """Find the promotion of a version that waits.

    Args:
        entries: The ledger's entries, oldest first.
        version: The version to promote.
        live: The version that was live when that was judged.

    Returns:
        The request, None where there is none or it has ended.
    """
    asked = [each for each in list_requests(entries) if each.kind == "promotion" and each.status == "waiting"]
    return next((each for each in asked if each.versions == (version, live)), None)


def _is_request(entry: LedgerEntry) -> bool:
    if entry.kind != "verdict" or OVERTAKEN_KEY in entry.evidence:
        return False
    if entry.verdict == "investigate":
        return PREVIOUS_ALIAS not in entry.versions
    return entry.verdict in KIND_BY_VERDICT and TERMS_KEY in entry.evidence


def _read_terms(entry: LedgerEntry) -> ApprovalTerms | None:
    return msgspec.convert(entry.evidence[TERMS_KEY], ApprovalTerms) if TERMS_KEY in entry.evidence else None
