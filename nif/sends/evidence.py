"""What is known about an attempt, what may be believed of it, and what may be done next.

An attempt posts a batch once, and nobody may get the mail twice. So whatever NIF says or does about
a batch rests on the functions here and on nothing else: reconciliation and the claim of a batch,
certificates and the counts on pages, undoing, cancelling and finishing a send. They are pure: they
read no clock and no database. `tests/prove/attempt_histories.py` tries them on every short history.

Three kinds of evidence prove something:

- The answer to the request. Only 202 says that the mail was accepted. No answer, a 5xx, or another
  2xx says nothing.
- An event that bears the attempt's mark. It proves that the request was accepted, as a whole.
- Silence, where NIF would have heard. While an attempt is uncertain NIF mails canaries to itself,
  by the same provider. Where each one was heard of at once, all through the quiet period and once
  after it, and no post of events was turned away, the events of the attempt would have come in too.

Any other silence proves nothing, and the batch waits for an event or for a person.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

CANARY_EVERY = timedelta(minutes=2)
"""How often a canary is mailed. SendGrid posts events every half minute, so by the time of the next
one a canary was heard of, where the stream is alive."""

LARGEST_GAP = 2.5
"""Canaries further apart than so many times their rhythm do not watch over the time between."""

ASK_PERSON_AFTER = timedelta(hours=24)
"""SendGrid repeats its events for a day. Without proof by then, a person has to decide."""

RECALL_BEFORE = timedelta(minutes=11)
"""SendGrid cancels a scheduled batch until ten minutes before its time; one minute is reserve."""

KEEP_RECALLS = timedelta(hours=1)
"""SendGrid holds ten cancellations at a time, so each is deleted when it has taken effect."""


class AttemptResult(StrEnum):
    """How an attempt ended.

    NOT_ACCEPTED: it never reached the provider, or silence or a person said so later. RECALLED: its
    fence stopped it before the provider mailed anyone. While a recall is being tried the result is
    RECALLING, and a late answer to the request proves nothing.
    """

    ACCEPTED = "accepted"
    REFUSED = "refused"
    NOT_ACCEPTED = "not_accepted"
    UNCERTAIN = "uncertain"
    RECALLING = "recalling"
    RECALLED = "recalled"


class Belief(StrEnum):
    """Did the mail of an attempt leave?"""

    LEFT = "left"
    DID_NOT_LEAVE = "did_not_leave"
    UNKNOWN = "unknown"


BELIEF_WITHOUT_EVENT: dict[AttemptResult | None, Belief] = {
    None: Belief.UNKNOWN,
    AttemptResult.ACCEPTED: Belief.LEFT,
    AttemptResult.REFUSED: Belief.DID_NOT_LEAVE,
    AttemptResult.NOT_ACCEPTED: Belief.DID_NOT_LEAVE,
    AttemptResult.UNCERTAIN: Belief.UNKNOWN,
    AttemptResult.RECALLING: Belief.UNKNOWN,
    AttemptResult.RECALLED: Belief.DID_NOT_LEAVE,
}
"""By the result alone; None is an attempt whose request has not been answered yet."""

BELIEF_WITH_EVENT: dict[AttemptResult | None, Belief] = {
    **dict.fromkeys(BELIEF_WITHOUT_EVENT, Belief.LEFT),
    AttemptResult.RECALLED: Belief.DID_NOT_LEAVE,
}
"""Once an event came in. Of a recalled attempt there are events too: the provider accepted it, and
then dropped each copy."""


def believe(result: AttemptResult | None, *, is_reported: bool) -> Belief:
    """What may be believed of an attempt; `is_reported`: an event that bears its mark came in."""
    return (BELIEF_WITH_EVENT if is_reported else BELIEF_WITHOUT_EVENT)[result]


class BatchBelief(StrEnum):
    """Were the subscribers of a range mailed, by all attempts that cover it?"""

    NOT_MAILED = "not_mailed"
    MAILED = "mailed"
    TWICE = "twice"
    UNKNOWN = "unknown"


def believe_batch(attempts: Iterable[Belief]) -> BatchBelief:
    """What may be believed of subscribers, from all attempts that cover them.

    They may be posted only where they were certainly NOT_MAILED. TWICE does not depend on attempts
    that are unknown; MAILED does, since one of those may be the second.
    """
    beliefs = list(attempts)
    if beliefs.count(Belief.LEFT) > 1:
        return BatchBelief.TWICE
    if Belief.UNKNOWN in beliefs:
        return BatchBelief.UNKNOWN
    return BatchBelief.MAILED if Belief.LEFT in beliefs else BatchBelief.NOT_MAILED


@dataclass(frozen=True)
class ReconciliationTiming:
    """How long to wait for proof.

    `quiet_period` is how long the stream of events has to be watched before an attempt
    counts as not accepted. A fenced attempt can be recalled until `recall_before` it goes out; the
    recall stays in force until `keep_recalls` after that time.
    """

    quiet_period: timedelta
    canary_every: timedelta = CANARY_EVERY
    recall_before: timedelta = RECALL_BEFORE
    keep_recalls: timedelta = KEEP_RECALLS

    @property
    def heard_within(self) -> timedelta:
        """A canary of which no event came in within this time went unheard."""
        return self.canary_every

    @property
    def largest_gap(self) -> timedelta:
        return self.canary_every * LARGEST_GAP


@dataclass(frozen=True)
class UncertainAttempt:
    """The evidence about an attempt that got no clear answer.

    `uncertain_since` is when that became known, or, after the clock jumped, the time of the jump.
    `provider_says` is what a provider with a record of its own knows; SendGrid has none.
    """

    started_at: datetime
    uncertain_since: datetime
    result: AttemptResult | None = AttemptResult.UNCERTAIN
    is_reported: bool = False
    goes_out_at: datetime | None = None
    provider_says: bool | None = None

    @property
    def is_fenced(self) -> bool:
        return self.goes_out_at is not None


@dataclass(frozen=True)
class CanarySign:
    """A canary: `accepted` is None while its request is open, and where its answer was unclear."""

    posted_at: datetime
    accepted: bool | None = None
    heard_at: datetime | None = None


@dataclass(frozen=True)
class EventStream:
    """What is known about the stream of events.

    `canaries` are in the order in which they were posted. `lost_posts` are the times at which a
    post of events was answered with anything but a 2xx. `has_unread`: posts wait to be processed,
    or cannot be, and may hold the proof.
    """

    canaries: Sequence[CanarySign] = ()
    lost_posts: Sequence[datetime] = ()
    has_unread: bool = False


class Silence(StrEnum):
    """What the lack of events about an attempt proves.

    PROOF: it was not accepted. TOO_EARLY: nothing yet. NO_PROOF: nothing, however long one waits,
    since the stream was not watched without a gap.
    """

    TOO_EARLY = "too_early"
    PROOF = "proof"
    NO_PROOF = "no_proof"


class CanaryFate(StrEnum):
    """HEARD in time, PENDING while it may be, LOST where the provider accepted it and no event came
    in in time; UNPOSTED where the provider may not have accepted it, and none came in.
    """

    HEARD = "heard"
    PENDING = "pending"
    LOST = "lost"
    UNPOSTED = "unposted"


def judge_canary(canary: CanarySign, timing: ReconciliationTiming, *, now: datetime) -> CanaryFate:
    """What became of a canary by now. A clock that jumps makes it LOST, whichever way."""
    if canary.heard_at is not None:
        lag = abs(canary.heard_at - canary.posted_at)
        return CanaryFate.HEARD if lag <= timing.heard_within else CanaryFate.LOST
    if abs(now - canary.posted_at) <= timing.heard_within:
        return CanaryFate.PENDING
    return CanaryFate.LOST if canary.accepted else CanaryFate.UNPOSTED


def judge_silence(
    attempt: UncertainAttempt, stream: EventStream, timing: ReconciliationTiming, *, now: datetime
) -> Silence:
    """What the lack of events about an uncertain attempt proves by now.

    Its events were due as soon as the request was posted, or its fence released it. So a post that
    was turned away since then may have held them. A canary that the provider did not accept watches
    over nothing, and it is the next one that must not be too far from the last.
    """
    due_since = max(attempt.uncertain_since, attempt.goes_out_at or attempt.uncertain_since)
    first_event = min(attempt.started_at, attempt.uncertain_since)
    if any(lost_at >= first_event for lost_at in stream.lost_posts):
        return Silence.NO_PROOF
    canaries = [canary for canary in stream.canaries if canary.posted_at >= due_since]
    fates = [judge_canary(canary, timing, now=now) for canary in canaries]
    if CanaryFate.LOST in fates:
        return Silence.NO_PROOF
    heard = [
        canary.posted_at
        for canary, fate in zip(canaries, fates, strict=True)
        if fate is CanaryFate.HEARD
    ]
    gaps = [later - earlier for earlier, later in pairwise([due_since, *heard])]
    still_open = now - [due_since, *heard][-1] - timing.heard_within
    if max([still_open, *gaps]) > timing.largest_gap:
        return Silence.NO_PROOF
    if stream.has_unread or not heard or heard[-1] - due_since <= timing.quiet_period:
        return Silence.TOO_EARLY
    return Silence.PROOF


def can_be_recalled(
    attempt: UncertainAttempt, timing: ReconciliationTiming, *, now: datetime
) -> bool:
    """Is there time to have the provider drop an attempt before it mails anyone?"""
    return attempt.goes_out_at is not None and now < attempt.goes_out_at - timing.recall_before


class NextStep(StrEnum):
    """What may be done about an uncertain attempt. RELEASE: its batch may be posted again."""

    SETTLE = "settle"
    RELEASE = "release"
    RECALL = "recall"
    WAIT = "wait"
    ASK = "ask"


def choose_next_step(
    attempt: UncertainAttempt, stream: EventStream, timing: ReconciliationTiming, *, now: datetime
) -> NextStep:
    """What may be done about an uncertain attempt now. To WAIT and to ASK both leave it uncertain;
    an event still settles it.
    """
    if attempt.provider_says or believe(attempt.result, is_reported=attempt.is_reported) is (
        Belief.LEFT
    ):
        return NextStep.SETTLE
    if attempt.provider_says is False or attempt.result is AttemptResult.RECALLED:
        return NextStep.RELEASE
    if can_be_recalled(attempt, timing, now=now):
        return NextStep.RECALL
    silence = judge_silence(attempt, stream, timing, now=now)
    if silence is Silence.PROOF:
        return NextStep.RELEASE
    is_overdue = now - attempt.uncertain_since > ASK_PERSON_AFTER
    return NextStep.ASK if is_overdue or silence is Silence.NO_PROOF else NextStep.WAIT
