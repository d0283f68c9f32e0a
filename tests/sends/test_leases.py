"""Leases, watched by a clock that no time server moves, and their heartbeats."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import count
from threading import current_thread
from threading import enumerate as enumerate_threads

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from nif.database import Database
from nif.mail.provider import BatchRequest
from nif.sends import leases
from nif.sends.delivery import DeliveryContext, deliver_send
from nif.sends.evidence import AttemptResult
from nif.sends.leases import Heartbeat, LeaseWatch
from nif.sends.models import Lease
from tests.conftest import NOON
from tests.factories import a_plain_send
from tests.fakes import FakeMailer
from tests.sends.conftest import Clock
from tests.sends.helpers import (
    LEASE,
    attempts,
    claimed_batch,
    end_lease_of,
    planned_send,
    reconcile,
    states,
)
from tests.waiting import wait_until

LENGTH = LEASE.total_seconds()
SHORT = timedelta(seconds=0.2)
"""A lease that runs out at once, unless it is renewed."""


class Ticks:
    """A monotonic clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def watch(ticks: Ticks) -> LeaseWatch:
    return LeaseWatch(LEASE, ticks)


def a_lease(database: Database) -> str:
    with database.transaction() as session:
        return leases.begin_lease(session, a_plain_send(session, count=1).id, now=NOON)


def beat(database: Database, lease_id: str) -> bool:
    with database.transaction() as session:
        return leases.renew_lease(session, lease_id, now=NOON)


def ended(database: Database, watch: LeaseWatch) -> list[str]:
    with database.transaction() as session:
        return watch.end_stale_leases(session, now=NOON)


def end_all(database: Database) -> None:
    with database.transaction() as session:
        session.execute(update(Lease).values(ended_at=NOON))


@pytest.fixture
def fast_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases are long, so that none runs out on a busy machine, and beat 20 times a second."""
    monkeypatch.setattr(leases, "BEATS_PER_LEASE", LENGTH * 20)


class Pulse:
    """A database's transactions, of which those of heartbeats are counted."""

    def __init__(self, database: Database) -> None:
        self._database, self._beats = database, 0

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        with self._database.transaction() as session:
            yield session
        self._beats += current_thread().name == "heartbeat"

    def wait_for_next_beat(self) -> None:
        """Wait until a beat that begins from now on has had its effect."""
        # The first of them may have begun before, the second shows the effect of the one after.
        last = self._beats + 3
        wait_until(lambda: self._beats >= last, "three beats")


def test_a_stale_lease_is_ended_and_its_batch_awaits_proof(
    database: Database, mailer: FakeMailer, watch: LeaseWatch, ticks: Ticks
) -> None:
    claimed = claimed_batch(database, planned_send(database, count=3))
    reconcile(database, mailer, NOON, watch)
    ticks.now += LENGTH - 0.1
    reconcile(database, mailer, NOON, watch)
    assert states(database, claimed.send_id) == ["in_flight"]

    ticks.now += 0.1
    reconcile(database, mailer, NOON, watch)
    assert states(database, claimed.send_id) == ["awaiting_proof"]
    assert [attempt.reason for attempt in attempts(database, claimed.send_id)] == [
        "the worker vanished"
    ]


def test_a_heartbeat_keeps_its_lease(database: Database, watch: LeaseWatch, ticks: Ticks) -> None:
    alive, dead = a_lease(database), a_lease(database)
    for _ in range(10):
        assert ended(database, watch) == []
        assert beat(database, alive)
        ticks.now += LENGTH / 10 - 0.001

    ticks.now += 0.02
    assert ended(database, watch) == [dead]
    assert beat(database, alive)
    assert not beat(database, dead)


def test_a_jump_of_the_wall_clock_ends_no_lease(
    database: Database, mailer: FakeMailer, watch: LeaseWatch, ticks: Ticks
) -> None:
    claimed = claimed_batch(database, planned_send(database, count=3))
    for hours in (0, 1, -1, 30):
        ticks.now += 1
        reconcile(database, mailer, NOON + timedelta(hours=hours), watch)

    assert states(database, claimed.send_id) == ["in_flight"]


def test_a_new_observer_waits_a_full_lease(
    database: Database, watch: LeaseWatch, ticks: Ticks
) -> None:
    lease_id = a_lease(database)
    ended(database, watch)
    ticks.now += LENGTH
    another = LeaseWatch(LEASE, ticks)

    assert ended(database, another) == []
    assert ended(database, watch) == [lease_id]
    assert ended(database, another) == []


def test_an_ended_lease_is_not_watched(database: Database, watch: LeaseWatch, ticks: Ticks) -> None:
    lease_id = a_lease(database)
    ended(database, watch)
    with database.transaction() as session:
        leases.end_lease(session, lease_id, now=NOON)

    ticks.now += LENGTH
    assert ended(database, watch) == []


def test_an_ended_lease_cannot_be_renewed(database: Database) -> None:
    lease_id = a_lease(database)
    with database.transaction() as session:
        leases.end_lease(session, lease_id, now=NOON)
        assert not leases.renew_lease(session, lease_id, now=NOON)
        leases.end_lease(session, lease_id, now=NOON + LEASE)

    with database.reading() as session:
        lease = session.get_one(Lease, lease_id)
    assert (lease.beats, lease.ended_at) == (0, NOON)


def test_a_heartbeat_renews_the_lease_in_the_database(database: Database, fast_beats: None) -> None:
    lease_id = a_lease(database)

    def beats() -> int:
        with database.reading() as session:
            return session.get_one(Lease, lease_id).beats

    with Heartbeat(database.transaction, lease_id, LEASE, Clock(NOON)):
        wait_until(lambda: beats() >= 2, "two beats")
    assert "heartbeat" not in [thread.name for thread in enumerate_threads()]


def test_a_heartbeat_is_not_safe_once_part_of_its_lease_is_over(database: Database) -> None:
    long, short = (
        Heartbeat(database.transaction, a_lease(database), length, Clock(NOON))
        for length in (timedelta(hours=1), SHORT)
    )

    wait_until(lambda: not short.is_safe(), "it is not safe")
    assert long.is_safe()


def test_a_machine_that_slept_is_not_safe_although_its_monotonic_clock_stood_still(
    database: Database, clock: Clock
) -> None:
    heart = Heartbeat(database.transaction, a_lease(database), LEASE, clock)
    clock.advance(seconds=53)
    assert heart.is_safe()

    clock.advance(seconds=1)
    assert not heart.is_safe()


def test_a_renewal_that_fails_does_not_count(database: Database) -> None:
    @contextmanager
    def broken() -> Iterator[Session]:
        raise OperationalError("commit", {}, Exception("locked"))
        yield

    with Heartbeat(broken, a_lease(database), SHORT, Clock(NOON)) as heart:
        wait_until(lambda: not heart.is_safe(), "it is not safe")


def test_a_worker_that_lost_its_lease_claims_no_more(
    context: DeliveryContext, database: Database, batches_of_seven: None, fast_beats: None
) -> None:
    pulse = Pulse(database)

    class Overtaken(FakeMailer):
        """While it posts, somebody takes its holder for dead."""

        def post(self, request: BatchRequest) -> str | None:
            end_all(database)
            pulse.wait_for_next_beat()
            return super().post(request)

    send_id, mailer = planned_send(database, count=21), Overtaken()
    deliver_send(replace(context, mailer=mailer, transaction=pulse.transaction), send_id)

    assert mailer.post_count == 1
    assert states(database, send_id) == ["accepted", "planned", "planned"]


def test_a_worker_that_lost_its_lease_does_not_post_its_claimed_batch(
    context: DeliveryContext, database: Database, batches_of_seven: None, fast_beats: None
) -> None:
    pulse = Pulse(database)

    class Overtaken(FakeMailer):
        def build_request(self, *args: object, **given: object) -> BatchRequest:
            end_all(database)
            pulse.wait_for_next_beat()
            return super().build_request(*args, **given)  # type: ignore[arg-type]

    send_id, mailer = planned_send(database, count=21), Overtaken()
    deliver_send(replace(context, mailer=mailer, transaction=pulse.transaction), send_id)

    assert mailer.post_count == 0
    assert states(database, send_id) == ["planned"] * 3
    assert [one.result for one in attempts(database, send_id)] == [AttemptResult.NOT_ACCEPTED]


def test_a_crashed_delivery_is_noticed_at_once(
    context: DeliveryContext, database: Database, mailer: FakeMailer, watch: LeaseWatch
) -> None:
    send_id, calls = planned_send(database, count=3), count(1)

    @contextmanager
    def failing() -> Iterator[Session]:
        with database.transaction() as session:
            yield session
            if next(calls) == 4:  # The result is not recorded.
                raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError):
        deliver_send(replace(context, transaction=failing), send_id)
    assert (mailer.post_count, states(database, send_id)) == (1, ["in_flight"])

    reconcile(database, mailer, NOON, watch)
    assert states(database, send_id) == ["awaiting_proof"]


def test_a_delivery_ends_its_lease(context: DeliveryContext, database: Database) -> None:
    deliver_send(context, planned_send(database, count=3))

    with database.reading() as session:
        assert [lease.ended_at for lease in session.scalars(select(Lease))] == [NOON]


def test_ending_one_lease_leaves_another_alone(
    database: Database, mailer: FakeMailer, batches_of_seven: None
) -> None:
    send_id = planned_send(database, count=14)
    dead, _alive = claimed_batch(database, send_id), claimed_batch(database, send_id)
    end_lease_of(database, dead)

    reconcile(database, mailer, NOON)
    assert states(database, send_id) == ["awaiting_proof", "in_flight"]
