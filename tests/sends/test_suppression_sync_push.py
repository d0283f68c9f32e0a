"""Pushing suppressions to the provider over HTTP, with all failures on the way."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress as quietly
from datetime import datetime, timedelta
from random import Random

import orjson
import pytest
from sqlalchemy import select, text

from nif.clock import utc_now
from nif.database import Database
from nif.mail.outbox import OutboxMailer
from nif.mail.provider import (
    AccountLocked,
    NotAccepted,
    ProviderProblem,
    ProviderSuppression,
    Refused,
    Unavailable,
    Uncertain,
)
from nif.mail.sendgrid import CONNECT_SECONDS, READ_SECONDS, SendGridMailer
from nif.sends import periodic_tasks, provider_events, suppression_sync
from nif.sends.suppression_sync import (
    MAX_PUSH_REQUESTS,
    PUSH_EVERY,
    PUSH_LOCKED_WAIT,
    PUSH_TASK,
    PushedSuppressions,
)
from nif.subscriptions import suppression_list, suppression_outbox
from nif.subscriptions.lifecycle import activate_subscription
from nif.subscriptions.models import Subscription, SubscriptionState, Suppression, SuppressionReason
from nif.subscriptions.suppression_list import (
    add_suppressions,
    lift_suppressions,
    record_erased_address,
    suppress_address,
)
from nif.subscriptions.suppression_outbox import (
    CLOCK_SKEW,
    KEEP_LIFTED,
    PUSH_LEASE,
    PUSH_SIZE,
    SuppressionOutboxEntry,
)
from tests.conftest import NOON
from tests.factories import HERE, a_list, a_subscription
from tests.fakes import FakeMailer
from tests.sends.conftest import Clock
from tests.standin.account import SCOPES
from tests.standin.client import Standin
from tests.waiting import LIMIT, wait_until

R = SuppressionReason
ANN, BEA, CY = "ann@example.com", "bea@example.com", "c/y+%@example.com"
GLOBAL = "/v3/asm/suppressions/global"
BY_HAND = "manual: she asked"
FAR_BACK = NOON - timedelta(days=3650)


class Killed(BaseException):
    """The worker is killed."""


@pytest.fixture(scope="module")
def running() -> Iterator[Standin]:
    with Standin() as standin:
        yield standin


@pytest.fixture
def standin(running: Standin) -> Iterator[Standin]:
    yield running
    running.clear_faults()
    running.account(keys={running.api_key: sorted(SCOPES)})
    mailer = SendGridMailer(running.api_key, running.url, connections=1)
    for address in listed(mailer):
        mailer.unsuppress(address)


@pytest.fixture
def sendgrid(standin: Standin) -> SendGridMailer:
    return SendGridMailer(standin.api_key, standin.url, connections=1)


@pytest.fixture
def clock() -> Clock:
    """The stand-in's own clock is the real one."""
    return Clock(utc_now())


def listed(mailer: SendGridMailer) -> set[str]:
    """The addresses on SendGrid's list of unsubscribes."""
    pages = mailer.list_suppressions(FAR_BACK)
    return {one.address for page in pages for one in page if one.kind == "unsubscribes"}


def suppressed(database: Database) -> set[str]:
    with database.reading() as session:
        return set(session.scalars(select(Suppression.canonical)))


def make(database: Database, *canonicals: str, now: datetime, source: str = BY_HAND) -> None:
    with database.transaction() as session:
        for one in canonicals:
            suppress_address(session, one, R.MANUAL, source=source, now=now)


def lift(database: Database, *canonicals: str, now: datetime) -> None:
    with database.transaction() as session:
        lift_suppressions(session, Suppression.canonical.in_(canonicals), now=now)


def tell(database: Database, mailer: object, clock: Clock, **given: int) -> PushedSuppressions:
    return suppression_sync.push_suppressions(database.transaction, mailer, clock=clock, **given)  # type: ignore[arg-type]


def trouble(database: Database) -> str | None:
    with database.reading() as session:
        chore = periodic_tasks.find_task(session, PUSH_TASK)
        return chore and chore.error


def test_suppressions_are_pushed_and_lifted_ones_removed(
    database: Database, sendgrid: SendGridMailer, clock: Clock
) -> None:
    make(database, ANN, BEA, CY, now=clock())
    assert tell(database, sendgrid, clock) == PushedSuppressions(added=3)
    assert listed(sendgrid) == {ANN, BEA, CY}
    assert tell(database, sendgrid, clock) == PushedSuppressions()

    lift(database, ANN, CY, now=clock.advance(hours=1))
    assert tell(database, sendgrid, clock) == PushedSuppressions(removed=2)
    assert listed(sendgrid) == {BEA}


def test_only_our_own_suppressions_are_pushed(
    database: Database, mailer: FakeMailer, now: datetime
) -> None:
    with database.transaction() as session:
        suppress_address(
            session, "event@x.example", R.UNSUBSCRIBED, source="event unsubscribe", now=now
        )
        listed_as = "SendGrid's list of spam reports"
        suppress_address(session, "list@x.example", R.COMPLAINED, source=listed_as, now=now)
        found = {"spam@x.example": R.COMPLAINED, "bounced@x.example": R.BOUNCED}
        add_suppressions(session, found, source="import:1", now=now)
        suppress_address(session, "own@x.example", R.UNSUBSCRIBED, source="/unsubscribe", now=now)
        record_erased_address(session, "erased@x.example", source="test", now=now)
    tell(database, mailer, Clock(now))

    assert mailer.suppressed == {"spam@x.example", "own@x.example"}


def test_a_provider_unsubscribe_is_removed_when_the_subscriber_comes_back(
    database: Database, sendgrid: SendGridMailer, standin: Standin, clock: Clock
) -> None:
    """Otherwise SendGrid would silently drop their mail."""
    standin.account(suppress={"unsubscribes": [{"email": ANN, "created": 1_700_000_000}]})
    with database.transaction() as session:
        subscription = a_subscription(session, a_list(session), ANN)
    suppression_sync.pull_suppressions(database.transaction, sendgrid, now=clock())
    assert suppressed(database) == {ANN}
    with database.transaction() as session:
        back = session.get_one(Subscription, (subscription.subscriber_id, subscription.list_id))
        assert back.state is SubscriptionState.UNSUBSCRIBED
        activate_subscription(session, back, HERE, now=clock.advance(seconds=1))

    # A pull between the confirmation and the push still finds them on SendGrid's list.
    suppression_sync.pull_suppressions(database.transaction, sendgrid, now=clock())
    assert suppressed(database) == set()
    assert tell(database, sendgrid, clock) == PushedSuppressions(removed=1)
    suppression_sync.pull_suppressions(database.transaction, sendgrid, now=clock())
    assert (suppressed(database), listed(sendgrid)) == (set(), set())
    with database.reading() as session:
        assert session.scalars(select(Subscription.state)).all() == [SubscriptionState.CONFIRMED]


def test_a_page_pulled_before_a_change_does_not_undo_it(
    database: Database, mailer: FakeMailer, clock: Clock
) -> None:
    wish = clock()
    page = [[ProviderSuppression(ANN, "unsubscribes", wish)]]

    class Slow(FakeMailer):
        def list_suppressions(self, since):  # type: ignore[no-untyped-def]
            yield from page
            # Before the next page is pulled they come back, and their removal is claimed.
            lift(database, ANN, now=clock.advance(minutes=1))
            assert tell(database, self, clock) == PushedSuppressions(removed=1)
            yield from page

    suppression_sync.pull_suppressions(database.transaction, Slow(), now=clock())

    assert suppressed(database) == set()
    newer = [ProviderSuppression(ANN, "unsubscribes", clock.advance(days=1))]
    mailer.suppression_pages = [newer]
    suppression_sync.pull_suppressions(database.transaction, mailer, now=clock.advance(hours=1))
    assert suppressed(database) == {ANN}
    tell(database, mailer, clock)
    assert mailer.suppressed == {ANN}


def someone_waits_for_a_lock(database: Database) -> bool:
    with database.reading() as session:
        return bool(session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))


def test_a_subscriber_who_comes_back_during_a_pull_stays(
    database: Database, mailer: FakeMailer, clock: Clock
) -> None:
    """Whichever of the two is first, the other waits, and there is no deadlock."""
    if database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    wish = ProviderSuppression(ANN, "unsubscribes", clock())
    with database.transaction() as session:
        key = a_subscription(session, a_list(session), ANN)
    mailer.suppression_pages = [[wish]]
    suppression_sync.pull_suppressions(database.transaction, mailer, now=clock())
    clock.advance(minutes=10)
    with ThreadPoolExecutor(1) as pool, database.transaction() as session:
        back = session.get_one(Subscription, (key.subscriber_id, key.list_id))
        activate_subscription(session, back, HERE, now=clock())
        session.flush()
        pulled = pool.submit(
            suppression_sync.pull_suppressions, database.transaction, mailer, now=clock()
        )
        wait_until(lambda: someone_waits_for_a_lock(database), "the pull waits")
        assert not pulled.done()
        session.commit()
        pulled.result(LIMIT)

    with database.reading() as session:
        assert session.scalars(select(Subscription.state)).all() == [SubscriptionState.CONFIRMED]
    assert suppressed(database) == set()


def test_our_own_entry_on_the_providers_list_unsubscribes_nobody(
    database: Database, sendgrid: SendGridMailer, clock: Clock
) -> None:
    with database.transaction() as session:
        a_subscription(session, a_list(session), ANN)
    make(database, ANN, now=clock())
    tell(database, sendgrid, clock)
    suppression_sync.pull_suppressions(database.transaction, sendgrid, now=clock.advance(hours=1))

    with database.reading() as session:
        assert session.scalars(select(Subscription.state)).all() == [SubscriptionState.CONFIRMED]


@pytest.mark.parametrize(("minutes_after", "is_taken_back"), [(-30, True), (2, True), (30, False)])
def test_a_drop_from_before_the_removal_is_no_new_unsubscribe(
    database: Database, mailer: FakeMailer, clock: Clock, minutes_after: int, is_taken_back: bool
) -> None:
    with database.transaction() as session:
        who = a_subscription(session, a_list(session), ANN).subscriber_id
    make(database, ANN, now=clock())
    tell(database, mailer, clock)
    lift(database, ANN, now=clock.advance(days=1))
    clock.advance(hours=1)
    tell(database, mailer, clock)
    dropped = {
        **{"sg_event_id": "e", "event": "dropped", "reason": "Unsubscribed Address"},
        **{"email": ANN, "nif_d": f"1.{who}"},
        "timestamp": int((clock() + timedelta(minutes=minutes_after)).timestamp()),
    }
    with database.transaction() as session:
        provider_events.suppress_from_events(
            session, provider_events.parse_events(orjson.dumps([dropped])), now=clock()
        )

    assert (suppressed(database) == set()) is is_taken_back


@pytest.mark.parametrize(
    ("fault", "arrives"),
    [
        ("refuse_unread", False),
        ("reset_mid_body", False),
        ("refuse_503", False),
        ("accept_then_500", True),
        ("accept_then_drop", True),
        ("truncated", True),
    ],
)
def test_an_uncertain_push_is_repeated_later(
    database: Database,
    sendgrid: SendGridMailer,
    standin: Standin,
    clock: Clock,
    fault: str,
    arrives: bool,
) -> None:
    make(database, ANN, now=clock())
    standin.push_fault(fault, path=GLOBAL)
    with pytest.raises((Uncertain, Unavailable)):
        tell(database, sendgrid, clock)
    assert trouble(database)
    assert (listed(sendgrid) == {ANN}) is arrives

    # Lifted meanwhile, its removal is not claimed before the first push must have arrived.
    lift(database, ANN, now=clock())
    assert tell(database, sendgrid, clock) == PushedSuppressions()
    clock.advance(minutes=3)
    assert tell(database, sendgrid, clock) == PushedSuppressions(removed=1)
    assert (listed(sendgrid), trouble(database)) == (set(), None)


def test_a_rate_limited_push_waits_as_long_as_the_provider_asks(
    database: Database, sendgrid: SendGridMailer, standin: Standin, clock: Clock
) -> None:
    make(database, ANN, now=clock())
    standin.push_fault("too_many_requests", path=GLOBAL, seconds=90)

    def go() -> PushedSuppressions | None:
        return suppression_sync.push_suppressions_if_due(
            database.transaction, sendgrid, clock=clock
        )

    assert go() is None
    before = standin.stats()["requests"]
    clock.advance(seconds=80)
    assert go() is None
    assert standin.stats()["requests"] == before
    clock.advance(seconds=20)
    assert go() == PushedSuppressions(added=1)


def test_a_key_without_the_permission_is_reported_and_nothing_else_stops(
    database: Database, sendgrid: SendGridMailer, standin: Standin, clock: Clock
) -> None:
    make(database, ANN, now=clock())
    standin.account(keys={standin.api_key: sorted(SCOPES - {"suppression.create"})})
    assert (
        suppression_sync.push_suppressions_if_due(database.transaction, sendgrid, clock=clock)
        is None
    )
    assert "403" in (trouble(database) or "")
    clock.advance(seconds=PUSH_EVERY.total_seconds())
    before = standin.stats()["requests"]
    suppression_sync.push_suppressions_if_due(database.transaction, sendgrid, clock=clock)
    assert standin.stats()["requests"] == before

    standin.account(keys={standin.api_key: sorted(SCOPES)})
    clock.advance(seconds=PUSH_LOCKED_WAIT.total_seconds())
    assert suppression_sync.push_suppressions_if_due(
        database.transaction, sendgrid, clock=clock
    ) == PushedSuppressions(added=1)
    assert trouble(database) is None


def test_addresses_are_pushed_in_pages_within_the_request_limit(
    database: Database, mailer: FakeMailer, clock: Clock
) -> None:
    names = {f"r{n}@example.com": R.MANUAL for n in range(PUSH_SIZE + 1)}
    with database.transaction() as session:
        add_suppressions(session, names, source="import:1", now=clock())
    assert tell(database, mailer, clock, most=1) == PushedSuppressions(added=PUSH_SIZE)
    assert tell(database, mailer, clock) == PushedSuppressions(added=1)

    lift(database, *sorted(names)[:400], now=clock.advance(days=1))
    before = mailer.suppression_requests
    assert tell(database, mailer, clock) == PushedSuppressions(removed=MAX_PUSH_REQUESTS)
    assert mailer.suppression_requests - before == MAX_PUSH_REQUESTS
    assert len(mailer.suppressed) == PUSH_SIZE + 1 - MAX_PUSH_REQUESTS


def test_a_refused_address_does_not_block_the_others(database: Database, clock: Clock) -> None:
    class Picky(FakeMailer):
        def suppress(self, addresses):  # type: ignore[no-untyped-def]
            if ANN in addresses:
                raise Refused(400, [ProviderProblem("no address")])
            super().suppress(addresses)

    mailer = Picky()
    make(database, ANN, BEA, now=clock())

    assert tell(database, mailer, clock) == PushedSuppressions(added=1, refused=1)
    assert mailer.suppressed == {BEA}
    assert tell(database, mailer, clock) == PushedSuppressions()
    with database.reading() as session:
        assert session.get_one(SuppressionOutboxEntry, ANN).rejection == "no address"


def test_with_the_outbox_mailer_nothing_is_pushed_and_nothing_lost(
    database: Database, mailer: FakeMailer, clock: Clock
) -> None:
    make(database, ANN, now=clock())
    outbox = OutboxMailer(database.transaction)
    assert (
        suppression_sync.push_suppressions_if_due(database.transaction, outbox, clock=clock) is None
    )
    assert tell(database, outbox, clock) == PushedSuppressions()
    with database.reading() as session:
        assert suppression_list.count_suppressions(session)[R.MANUAL] == 1

    assert tell(database, mailer, clock) == PushedSuppressions(added=1)


def test_no_transaction_is_open_during_a_push(database: Database, clock: Clock) -> None:
    class Nosy(FakeMailer):
        def suppress(self, addresses):  # type: ignore[no-untyped-def]
            # On SQLite a second writer would wait; what changes now is pushed right after.
            lift(database, ANN, now=clock.advance(seconds=1))
            super().suppress(addresses)

    mailer = Nosy()
    make(database, ANN, now=clock())
    assert tell(database, mailer, clock) == PushedSuppressions(added=1, removed=1)
    assert mailer.suppressed == set()


def test_lifted_entries_are_pruned_in_time(
    database: Database, mailer: FakeMailer, clock: Clock
) -> None:
    make(database, ANN, BEA, now=clock())
    lift(database, ANN, now=clock.advance(days=1))
    tell(database, mailer, clock)
    clock.advance(seconds=KEEP_LIFTED.total_seconds() + 1)
    suppression_sync.push_suppressions_if_due(database.transaction, mailer, clock=clock)

    with database.reading() as session:
        assert session.scalars(select(SuppressionOutboxEntry.canonical)).all() == [BEA]


class Shaky(FakeMailer):
    """Fails every other time, before or after it has done its work."""

    def __init__(self, dice: Random, clock: Clock) -> None:
        super().__init__()
        self.dice, self.clock, self.is_calm = dice, clock, False
        self.since: dict[str, datetime] = {}

    def suppress(self, addresses: Sequence[str]) -> None:
        after = self.fate()
        super().suppress(addresses)
        self.since |= dict.fromkeys(addresses, self.clock())
        if after:
            raise after

    def unsuppress(self, address: str) -> None:
        after = self.fate()
        super().unsuppress(address)
        if after:
            raise after

    def fate(self) -> BaseException | None:
        """Raises what keeps it from doing anything; returns what happens once it was done."""
        if self.is_calm or self.dice.random() < 0.5:
            return None
        lost = (Uncertain("500"), Killed())
        if self.dice.random() < 0.5:
            return self.dice.choice(lost)
        before = (Unavailable("no"), Unavailable("429", 5.0, is_limit=True), AccountLocked("403"))
        raise self.dice.choice([*before, *lost])

    def list_suppressions(self, since: datetime) -> Iterator[Sequence[ProviderSuppression]]:
        yield [
            ProviderSuppression(one, "unsubscribes", self.since[one])
            for one in sorted(self.suppressed)
        ]


def live_on(database: Database, mailer: Shaky, meant: set[str]) -> None:
    """One thing that may happen; `meant` is who is suppressed."""
    name, now = mailer.dice.choice([ANN, BEA, CY]), mailer.clock()
    match mailer.dice.choice(["make", "lift", "tell", "tell", "pull"]):
        case "make":
            make(database, name, now=now)
            meant.add(name)
        case "lift":
            lift(database, name, now=now)
            meant.discard(name)
        case "tell":
            with quietly(NotAccepted, Uncertain, Killed):
                tell(database, mailer, mailer.clock, most=3)
        case "pull":
            suppression_sync.pull_suppressions(database.transaction, mailer, now=now)


def test_both_lists_agree_in_the_end_after_any_failures_and_crashes(
    database: Database, clock: Clock
) -> None:
    """Histories of making, lifting, telling, failing and dying, and pulls in between."""
    mailer, meant = Shaky(Random(7), clock), set[str]()
    for _ in range(100):
        clock.advance(seconds=mailer.dice.choice([1, 20, 200, 4000]))
        live_on(database, mailer, meant)
        assert suppressed(database) == meant

    mailer.is_calm = True
    clock.advance(hours=1)
    tell(database, mailer, clock)
    assert mailer.suppressed == meant
    suppression_sync.pull_suppressions(database.transaction, mailer, now=clock.advance(days=1))
    assert suppressed(database) == meant
    with database.reading() as session:
        assert suppression_outbox.count_unpushed_suppressions(session) == 0


def test_the_lease_is_longer_than_any_request() -> None:
    assert 3 * timedelta(seconds=CONNECT_SECONDS + READ_SECONDS) < PUSH_LEASE
    assert CLOCK_SKEW > PUSH_LEASE
