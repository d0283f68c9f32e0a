"""Every short history of an attempt that got no answer, tried on `nif.sends.evidence`.

A history is a line of moments, two minutes each, in which something goes wrong or nothing does. In
the world behind it the provider took the mail or not, and reports what it took, within a quiet
period. A report that NIF missed in an outage of less than five minutes comes again every two
minutes; after a longer outage, or once it was turned away or held up, it comes when it is too late.
After a history all goes well for a while.

Two things must hold. NIF never releases a batch that left; and where nothing goes wrong, a batch
that did not leave is released without a person.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

from nif.sends import evidence
from nif.sends.evidence import (
    CanarySign,
    EventStream,
    NextStep,
    ReconciliationTiming,
    Silence,
    UncertainAttempt,
)

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MOMENT = timedelta(minutes=2)
AT_ONCE, LATE = timedelta(seconds=20), timedelta(minutes=3)
QUIET = 3
"""Moments."""

TIMING = ReconciliationTiming(quiet_period=QUIET * MOMENT, canary_every=MOMENT)
SHORT_OUTAGE = 2
"""Moments after which a report that was missed comes again soon."""

CALM_END = 12
"""So many moments without trouble follow each history."""

TOO_LATE = 9
"""Moments after which a report comes again that was turned away, or missed in a long outage."""

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Moment:
    """What works in two minutes, and how the clock jumps after them.

    `lag` is how late the events of the canary come in, None for very late. With `is_slow` those of
    the batch take a quiet period, and no others do.

    `web` is "up", "dead" (nobody answers), "errs" (it answers 503, and knows it), "slips" (it turns
    away one post, not that of the canary) or "stuck" (it stores a post that nobody can process).
    """

    web: str = "up"
    provider: bool | None = True
    worker: bool = True
    lag: timedelta | None = AT_ONCE
    is_slow: bool = False
    jump: timedelta = timedelta(0)


CALM = Moment()
MOMENTS = {
    "calm": CALM,
    "the web process is dead": Moment(web="dead"),
    "the web process answers 503": Moment(web="errs"),
    "one post is answered with 503": Moment(web="slips"),
    "a post cannot be processed": Moment(web="stuck"),
    "the provider accepts nothing": Moment(provider=False),
    "the provider answers unclearly": Moment(provider=None),
    "neither provider nor web works": Moment(web="dead", provider=False),
    "no worker runs": Moment(worker=False),
    "nothing runs": Moment(web="dead", worker=False),
    "events come late": Moment(lag=LATE),
    "events come hours later": Moment(lag=None),
    "the report takes long": Moment(is_slow=True),
    "the clock is set back": Moment(jump=-HOUR),
    "the clock is set forward": Moment(jump=HOUR),
}


@dataclass
class History:
    """A world in which one attempt was posted at noon, and its answer was lost.

    `report_at` is the moment at which the provider reports the batch next, `unheard` for how many
    moments nobody has heard the provider; `stuck_until` is when a stuck post can be processed.
    """

    left: bool
    rules: ModuleType = evidence
    attempt: UncertainAttempt = field(default_factory=lambda: UncertainAttempt(NOON, NOON))
    clock: datetime = NOON
    moments: int = 0
    canaries: list[CanarySign] = field(default_factory=list)
    lost_posts: list[datetime] = field(default_factory=list)
    report_at: int = 0
    unheard: int = 0
    stuck_until: int = 0

    @property
    def has_unread(self) -> bool:
        return self.moments <= self.stuck_until

    def copy(self) -> "History":
        return replace(self, canaries=list(self.canaries), lost_posts=list(self.lost_posts))

    def live_through(self, moment: Moment) -> NextStep:
        """Let a moment pass; return what may be done at its end."""
        self.unheard = self.unheard + 1 if moment.web == "dead" else 0
        if self.left and not self.attempt.is_reported:
            self._report(moment)
        if moment.worker:
            self._post_canary(moment)
        self.moments += 1
        self.clock += MOMENT + moment.jump
        if not moment.worker:
            return NextStep.WAIT
        if moment.jump:
            self._restart_watch(self.clock - moment.jump)
        stream = EventStream(self.canaries, self.lost_posts, self.has_unread)
        return self.rules.choose_next_step(self.attempt, stream, TIMING, now=self.clock)

    def _report(self, moment: Moment) -> None:
        """The provider reports the batch, where it is time for that."""
        if self.report_at > self.moments:
            # A report that is due again soon is missed again where the outage goes on.
            return
        if moment.is_slow and self.moments == 0:
            self.report_at = QUIET
        elif moment.web == "up" and moment.lag == AT_ONCE:
            self.attempt = replace(self.attempt, is_reported=True)
        elif moment.web == "dead" and self.unheard <= SHORT_OUTAGE:
            self.report_at = self.moments + 1
        else:
            self.report_at = self.moments + TOO_LATE
            if moment.web == "stuck":
                self.stuck_until = self.report_at
            elif moment.web == "slips":
                self.lost_posts.append(self.clock)

    def _post_canary(self, moment: Moment) -> None:
        heard_at = None
        if moment.lag and moment.provider and moment.web not in {"dead", "errs"}:
            heard_at = self.clock + moment.lag
        self.canaries.append(CanarySign(self.clock, moment.provider, heard_at))
        if moment.web == "errs":
            self.lost_posts.append(self.clock)

    def _restart_watch(self, before: datetime) -> None:
        """As `nif.sends.reconciliation.restart_watch` does it."""
        stream = EventStream(self.canaries, self.lost_posts, self.has_unread)
        silence = self.rules.judge_silence(self.attempt, stream, TIMING, now=before)
        if silence == Silence.NO_PROOF:
            self.lost_posts.append(self.clock)
        self.canaries.clear()
        self.attempt = replace(self.attempt, uncertain_since=self.clock)


RESOLVABLE = {"calm", "the clock is set back", "the clock is set forward"}
"""Where nothing else happens, no person is needed in the end."""

ENDS = {NextStep.RELEASE, NextStep.SETTLE}


@dataclass
class Search:
    """All histories of up to `length` moments: how many were tried, and which failed."""

    length: int
    rules: ModuleType = evidence
    tried: int = 0
    failures: list[str] = field(default_factory=list)

    def try_all(self) -> dict[str, Any]:
        for left in (False, True):
            self._go_on(History(left, self.rules), ())
        failed = {"failed": len(self.failures), "first": self.failures[:1]}
        return {"proof": "attempts", "length": self.length, "histories": self.tried, **failed}

    def _go_on(self, history: History, names: tuple[str, ...]) -> None:
        """Try each moment after a history that has not ended."""
        for name, moment in MOMENTS.items():
            longer, so_far = history.copy(), (*names, name)
            step = longer.live_through(moment)
            if step not in ENDS and len(so_far) < self.length:
                self._go_on(longer, so_far)
                continue
            for _ in range(CALM_END):
                if step in ENDS:
                    break
                step = longer.live_through(CALM)
            self._judge(longer.left, so_far, step)

    def _judge(self, left: bool, names: tuple[str, ...], step: NextStep) -> None:
        self.tried += 1
        if left and step != NextStep.SETTLE:
            self.failures.append(f"it left, and {step}: {', then '.join(names)}")
        elif not left and step == NextStep.SETTLE:
            self.failures.append(f"it did not leave, and {step}: {', then '.join(names)}")
        elif not left and RESOLVABLE.issuperset(names) and step != NextStep.RELEASE:
            self.failures.append(f"nothing was wrong, and {step}: {', then '.join(names)}")
