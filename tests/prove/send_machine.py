"""What can happen to a send, in any order, and what has to hold all along and at the end."""

from collections import Counter
from contextlib import AbstractContextManager, suppress
from datetime import timedelta

from hypothesis import strategies
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import select

from nif.database import Database
from nif.errors import Conflict
from nif.mail.provider import AccountLocked, ProviderProblem, Refused, Unavailable, Uncertain
from nif.sends import circuit_breaker, control
from nif.sends.models import Batch, BatchState, Send, SendState
from nif.sends.outcomes import UNDECIDED_STATES
from nif.sends.reports import list_undecided_batches
from nif.subscriptions.lifecycle import unsubscribe_from_list
from nif.subscriptions.models import Subscriber, Subscription, SuppressionReason
from nif.subscriptions.suppression_list import suppress_address
from tests.factories import HERE
from tests.prove.world import SleepingWorker, World

ENDS = (
    None,
    None,
    None,
    Uncertain("no answer"),
    Unavailable("no connection"),
    Unavailable("slower", retry_after=30.0, is_limit=True),
    AccountLocked("SendGrid answered 401", 401),
    Refused(413),
    Refused(400, [ProviderProblem("Bad Request")]),
    Refused(400, [ProviderProblem("Bad.", "personalizations.0.to.0.email", 0)]),
)
LONGEST_END = 60

some_send = strategies.integers(0, 9)
some_reader = strategies.integers(0, 10)
has_sends = precondition(lambda self: self.world.sends)


class SendMachine(RuleBasedStateMachine):
    """A world in which each rule lets one thing happen."""

    def __init__(self, opening: AbstractContextManager[Database], came_up: Counter[str]) -> None:
        super().__init__()
        self.world, self.came_up = World(opening), came_up
        self.sleepers: list[SleepingWorker] = []
        came_up["examples"] += 1

    @precondition(lambda self: len(self.world.sends) < 4)
    @rule(undo=strategies.sampled_from([0, 30]))
    def a_send_is_planned(self, undo: int) -> None:
        self.world.plan(timedelta(seconds=undo))

    @has_sends
    @rule(
        ends=strategies.lists(strategies.sampled_from(ENDS), max_size=6),
        taken=strategies.booleans(),
    )
    def a_worker_posts(self, ends: list[Exception | None], taken: bool) -> None:
        self.world.mailer.raises.extend(ends)
        self.world.mailer.accepts_when_uncertain = taken
        self._count("posts", self.world.deliver() > 0)
        self.world.mailer.raises.clear()

    @has_sends
    @rule(after_posting=strategies.booleans())
    def a_worker_falls_asleep(self, after_posting: bool) -> None:
        sleeper = self.world.fall_asleep(after_posting=after_posting)
        self._count("asleep", sleeper is not None)
        if sleeper:
            self.sleepers.append(sleeper)

    @precondition(lambda self: self.sleepers)
    @rule(dies=strategies.booleans())
    def it_wakes_or_dies(self, dies: bool) -> None:
        sleeper = self.sleepers.pop(0)
        self._count("deaths", dies)
        if not dies:
            self.world.wake(sleeper)

    @rule(seconds=strategies.sampled_from([5, 50, 120, 600, 1200]))
    def time_passes(self, seconds: int) -> None:
        self.world.let_time_pass_by(seconds)

    @rule()
    def batches_are_reconciled(self) -> None:
        self.world.reconcile()

    @precondition(lambda self: self.world.is_stream_alive and self.world.posted_at)
    @rule(data=strategies.data(), times=strategies.integers(1, 3))
    def events_come_in(self, data: strategies.DataObject, times: int) -> None:
        some = data.draw(strategies.lists(strategies.sampled_from(sorted(self.world.posted_at))))
        self.world.report_events(some, times=times)

    @rule()
    def the_event_stream_fails_or_recovers(self) -> None:
        world = self.world
        world.is_stream_alive, world.stream_since = not world.is_stream_alive, world.ticks
        self._count("outages", not world.is_stream_alive)

    @rule(hours=strategies.sampled_from([-1, 1, 72]))
    def the_clock_jumps(self, hours: int) -> None:
        self.world.let_the_clock_jump(timedelta(hours=hours))
        self._count("jumps", True)

    @rule(number=some_reader)
    def a_subscriber_unsubscribes(self, number: int) -> None:
        reader = self.world.readers[number]
        with self.world.database.transaction() as session:
            mine = select(Subscription).where(Subscription.subscriber_id == reader)
            unsubscribe_from_list(
                session, session.scalars(mine).one(), HERE, now=self.world.clock()
            )
        self.world.left.add(reader)
        self.world.gone.setdefault(reader, self.world.ticks)

    @rule(number=some_reader, reason=strategies.sampled_from(SuppressionReason))
    def a_subscriber_is_suppressed(self, number: int, reason: SuppressionReason) -> None:
        reader, now = self.world.readers[number], self.world.clock()
        with self.world.database.transaction() as session:
            canonical = session.get_one(Subscriber, reader).canonical
            suppress_address(session, canonical, reason, source="a proof", now=now)
        self.world.gone.setdefault(reader, self.world.ticks)

    @has_sends
    @rule(number=some_send, what=strategies.sampled_from(["pause", "resume", "cancel"]))
    def a_person_controls_a_send(self, number: int, what: str) -> None:
        send_id = self.world.sends[number % len(self.world.sends)]
        with suppress(Conflict), self.world.database.transaction() as session:
            send = session.get_one(Send, send_id)
            if what == "pause":
                control.pause_send(session, send)
            elif what == "resume":
                control.resume_send(session, send, now=self.world.clock())
            else:
                control.cancel_send(session, send, now=self.world.clock())
            self._count(what, True)

    @has_sends
    @rule(number=some_send)
    def a_person_resolves_a_batch(self, number: int) -> None:
        """A person who knows what was posted decides, where no sleeping worker may change it."""
        asleep = {sleeper.taken.attempt_id for sleeper in self.sleepers}
        send_id = self.world.sends[number % len(self.world.sends)]
        with self.world.database.transaction() as session:
            send = session.get_one(Send, send_id)
            for batch, attempt in list_undecided_batches(session, send):
                if attempt.id not in asleep:
                    taken, now = attempt.id in self.world.posted_at, self.world.clock()
                    control.resolve_undecided_batch(
                        session, send, batch.id, attempt.id, accepted=taken, now=now
                    )
                    self._count("decisions", True)

    @invariant()
    def nobody_is_mailed_twice_and_all_adds_up(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        """In the end everything is settled, and each delivery's status is what the provider did."""
        try:
            self._end()
        finally:
            self.world.stack.close()

    def _end(self) -> None:
        world = self.world
        world.is_stream_alive, world.stream_since = True, world.ticks
        for _ in range(LONGEST_END):
            world.let_time_pass_by(1000)
            world.reconcile()
            self._decide_what_awaits_a_decision()
            self._resume_all()
            world.deliver()
            if not world.unfinished() and not self._undecided():
                break
        assert not world.unfinished()
        world.check()
        world.check_the_end()

    def _decide_what_awaits_a_decision(self) -> None:
        """Where the stream was dead for a while, nothing but a person can settle a batch."""
        with self.world.database.reading() as session:
            waiting = select(Batch.send_id).where(Batch.state == BatchState.AWAITING_DECISION)
            found = session.scalars(waiting.distinct()).all()
        for send_id in found:
            self.a_person_resolves_a_batch(number=self.world.sends.index(send_id))

    def _resume_all(self) -> None:
        with self.world.database.transaction() as session:
            circuit_breaker.allow_breaker_probe_now(session, now=self.world.clock())
            for send_id in self.world.unfinished():
                send = session.get_one(Send, send_id)
                if send.state is SendState.PAUSED:
                    control.resume_send(session, send, now=self.world.clock())

    def _undecided(self) -> bool:
        """Undecided batches, and accepted ones of cancelled sends that are not settled yet."""
        unknown = select(Batch.id).where(Batch.state.in_([BatchState.IN_FLIGHT, *UNDECIDED_STATES]))
        with self.world.database.reading() as session:
            return session.scalar(unknown.limit(1)) is not None

    def _count(self, what: str, happened: bool) -> None:
        self.came_up[what] += happened
