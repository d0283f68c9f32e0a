"""Telling the provider of our suppressions: over HTTP, with all that may go wrong on the way."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress as quietly
from datetime import datetime, timedelta
from random import Random

import orjson
import pytest
from sqlalchemy import select

from nif.clock import utc_now
from nif.database import Database
from nif.mail.mailer import Blocked, Locked, NotTaken, Problem, Refused, Unavailable, Uncertain
from nif.mail.outbox import OutboxMailer
from nif.mail.sendgrid import CONNECT_SECONDS, READ_SECONDS, SendGridMailer
from nif.sends import chores, matching, mirroring, telling, understanding
from nif.sends.telling import CHORE, EVERY, LOCKED_WAIT, REQUESTS, Told
from nif.subscriptions import relaying, tallying
from nif.subscriptions.forgetting import remember_erased
from nif.subscriptions.joining import enter
from nif.subscriptions.models import Subscription, SubscriptionState, Suppression, SuppressionReason
from nif.subscriptions.relaying import AT_ONCE, KEEP, LEASE, SKEW
from nif.subscriptions.relays import Relay
from nif.subscriptions.suppressing import add, end, suppress
from tests.conftest import NOON
from tests.factories import HERE, a_list, a_subscription
from tests.fakes import FakeMailer
from tests.sends.conftest import Clock
from tests.standin.account import SCOPES
from tests.standin.client import Standin

R = SuppressionReason
ANN, BEA, CY = "ann@example.com", "bea@example.com", "c/y+%@example.com"
GLOBAL = "/v3/asm/suppressions/global"
BY_HAND = "by hand: she asked"
FAR_BACK = NOON - timedelta(days=3650)


class Killed(BaseException):
    """The worker is no more."""


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
        mailer.unblock(address)


@pytest.fixture
def sendgrid(standin: Standin) -> SendGridMailer:
    return SendGridMailer(standin.api_key, standin.url, connections=1)


@pytest.fixture
def clock() -> Clock:
    """The stand-in's own clock is the real one."""
    return Clock(utc_now())


def listed(mailer: SendGridMailer) -> set[str]:
    """Whom SendGrid has on its list of unsubscribes."""
    pages = mailer.blocked(FAR_BACK)
    return {one.address for page in pages for one in page if one.kind == "unsubscribes"}


def suppressed(database: Database) -> set[str]:
    with database.reading() as session:
        return set(session.scalars(select(Suppression.canonical)))


def make(database: Database, *canonicals: str, now: datetime, source: str = BY_HAND) -> None:
    with database.transaction() as session:
        for one in canonicals:
            suppress(session, one, R.MANUAL, source=source, now=now)


def lift(database: Database, *canonicals: str, now: datetime) -> None:
    with database.transaction() as session:
        end(session, Suppression.canonical.in_(canonicals), now=now)


def tell(database: Database, mailer: object, clock: Clock, **given: int) -> Told:
    return telling.tell(database.transaction, mailer, clock=clock, **given)  # type: ignore[arg-type]


def trouble(database: Database) -> str | None:
    with database.reading() as session:
        chore = chores.find(session, CHORE)
        return chore and chore.trouble


def test_what_the_house_suppressed_is_told_and_taken_back(
    database: Database, sendgrid: SendGridMailer, clock: Clock
) -> None:
    make(database, ANN, BEA, CY, now=clock())
    assert tell(database, sendgrid, clock) == Told(put_on=3)
    assert listed(sendgrid) == {ANN, BEA, CY}
    assert tell(database, sendgrid, clock) == Told()

    lift(database, ANN, CY, now=clock.advance(hours=1))
    assert tell(database, sendgrid, clock) == Told(taken_off=2)
    assert listed(sendgrid) == {BEA}


def test_only_wishes_of_the_house_are_told(
    database: Database, mailer: FakeMailer, now: datetime
) -> None:
    with database.transaction() as session:
        suppress(session, "event@x.example", R.UNSUBSCRIBED, source="event unsubscribe", now=now)
        listed_as = "SendGrid's list of spam reports"
        suppress(session, "list@x.example", R.COMPLAINED, source=listed_as, now=now)
        found = {"spam@x.example": R.COMPLAINED, "bounced@x.example": R.BOUNCED}
        add(session, found, source="import:1", now=now)
        suppress(session, "own@x.example", R.UNSUBSCRIBED, source="/unsubscribe", now=now)
        remember_erased(session, "erased@x.example", source="test", now=now)
    tell(database, mailer, Clock(now))

    assert mailer.blocklist == {"spam@x.example", "own@x.example"}


def test_who_unsubscribed_there_and_comes_back_is_taken_off_that_list(
    database: Database, sendgrid: SendGridMailer, standin: Standin, clock: Clock
) -> None:
    """Else SendGrid would drop their mail in silence."""
    standin.account(suppress={"unsubscribes": [{"email": ANN, "created": 1_700_000_000}]})
    with database.transaction() as session:
        subscription = a_subscription(session, a_list(session), ANN)
    mirroring.pull(database.transaction, sendgrid, now=clock())
    assert suppressed(database) == {ANN}
    with database.transaction() as session:
        back = session.get_one(Subscription, (subscription.subscriber_id, subscription.list_id))
        assert back.state is SubscriptionState.LEFT
        enter(session, back, HERE, now=clock.advance(seconds=1))

    # A pull between the confirmation and the word to SendGrid still finds them on its list.
    mirroring.pull(database.transaction, sendgrid, now=clock())
    assert suppressed(database) == set()
    assert tell(database, sendgrid, clock) == Told(taken_off=1)
    mirroring.pull(database.transaction, sendgrid, now=clock())
    assert (suppressed(database), listed(sendgrid)) == (set(), set())
    with database.reading() as session:
        assert session.scalars(select(Subscription.state)).all() == [SubscriptionState.CONFIRMED]


def test_a_page_that_was_read_before_does_not_undo_what_came_after(
    database: Database, mailer: FakeMailer, clock: Clock
) -> None:
    wish = clock()
    page = [[Blocked(ANN, "unsubscribes", wish)]]

    class Slow(FakeMailer):
        def blocked(self, since):  # type: ignore[no-untyped-def]
            yield from page
            # Before the next page is mirrored they come back, and are taken off the list.
            lift(database, ANN, now=clock.advance(minutes=1))
            assert tell(database, self, clock) == Told(taken_off=1)
            yield from page

    mirroring.pull(database.transaction, Slow(), now=clock())

    assert suppressed(database) == set()
    newer = [Blocked(ANN, "unsubscribes", clock.advance(days=1))]
    mailer.pages = [newer]
    mirroring.pull(database.transaction, mailer, now=clock.advance(hours=1))
    assert suppressed(database) == {ANN}
    tell(database, mailer, clock)
    assert mailer.blocklist == {ANN}


def test_who_comes_back_while_a_page_is_mirrored_stays(
    database: Database, mailer: FakeMailer, clock: Clock
) -> None:
    """Whichever of the two is first, the other waits, and neither for ever."""
    if database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    wish = Blocked(ANN, "unsubscribes", clock())
    with database.transaction() as session:
        key = a_subscription(session, a_list(session), ANN)
    mailer.pages = [[wish]]
    mirroring.pull(database.transaction, mailer, now=clock())
    clock.advance(minutes=10)
    with ThreadPoolExecutor(1) as pool, database.transaction() as session:
        back = session.get_one(Subscription, (key.subscriber_id, key.list_id))
        enter(session, back, HERE, now=clock())
        session.flush()
        pulled = pool.submit(mirroring.pull, database.transaction, mailer, now=clock())
        with quietly(TimeoutError):
            pulled.result(timeout=0.3)
        assert not pulled.done()
        session.commit()
        pulled.result(timeout=20)

    with database.reading() as session:
        assert session.scalars(select(Subscription.state)).all() == [SubscriptionState.CONFIRMED]
    assert suppressed(database) == set()


def test_our_own_word_on_their_list_takes_nobody_off_our_lists(
    database: Database, sendgrid: SendGridMailer, clock: Clock
) -> None:
    with database.transaction() as session:
        a_subscription(session, a_list(session), ANN)
    make(database, ANN, now=clock())
    tell(database, sendgrid, clock)
    mirroring.pull(database.transaction, sendgrid, now=clock.advance(hours=1))

    with database.reading() as session:
        assert session.scalars(select(Subscription.state)).all() == [SubscriptionState.CONFIRMED]


@pytest.mark.parametrize(("minutes_after", "is_taken_back"), [(-30, True), (2, True), (30, False)])
def test_mail_that_was_dropped_before_the_word_arrived_is_no_new_wish(
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
        matching.suppress(session, understanding.read(orjson.dumps([dropped])), now=clock())

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
def test_what_nobody_knows_is_told_again_after_a_while(
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

    # Lifted meanwhile, it is not taken back before the first word must have arrived.
    lift(database, ANN, now=clock())
    assert tell(database, sendgrid, clock) == Told()
    clock.advance(minutes=3)
    assert tell(database, sendgrid, clock) == Told(taken_off=1)
    assert (listed(sendgrid), trouble(database)) == (set(), None)


def test_too_many_requests_wait_as_long_as_they_are_asked_to(
    database: Database, sendgrid: SendGridMailer, standin: Standin, clock: Clock
) -> None:
    make(database, ANN, now=clock())
    standin.push_fault("too_many_requests", path=GLOBAL, seconds=90)

    def go() -> Told | None:
        return telling.tell_if_due(database.transaction, sendgrid, clock=clock)

    assert go() is None
    before = standin.stats()["requests"]
    clock.advance(seconds=80)
    assert go() is None
    assert standin.stats()["requests"] == before
    clock.advance(seconds=20)
    assert go() == Told(put_on=1)


def test_a_key_without_the_right_is_told_and_nothing_else_stops(
    database: Database, sendgrid: SendGridMailer, standin: Standin, clock: Clock
) -> None:
    make(database, ANN, now=clock())
    standin.account(keys={standin.api_key: sorted(SCOPES - {"suppression.create"})})
    assert telling.tell_if_due(database.transaction, sendgrid, clock=clock) is None
    assert "403" in (trouble(database) or "")
    clock.advance(seconds=EVERY.total_seconds())
    before = standin.stats()["requests"]
    telling.tell_if_due(database.transaction, sendgrid, clock=clock)
    assert standin.stats()["requests"] == before

    standin.account(keys={standin.api_key: sorted(SCOPES)})
    clock.advance(seconds=LOCKED_WAIT.total_seconds())
    assert telling.tell_if_due(database.transaction, sendgrid, clock=clock) == Told(put_on=1)
    assert trouble(database) is None


def test_sets_are_sent_and_no_more_requests_than_are_allowed(
    database: Database, mailer: FakeMailer, clock: Clock
) -> None:
    names = {f"r{n}@example.com": R.MANUAL for n in range(AT_ONCE + 1)}
    with database.transaction() as session:
        add(session, names, source="import:1", now=clock())
    assert tell(database, mailer, clock, most=1) == Told(put_on=AT_ONCE)
    assert tell(database, mailer, clock) == Told(put_on=1)

    lift(database, *sorted(names)[:400], now=clock.advance(days=1))
    before = mailer.tellings
    assert tell(database, mailer, clock) == Told(taken_off=REQUESTS)
    assert mailer.tellings - before == REQUESTS
    assert len(mailer.blocklist) == AT_ONCE + 1 - REQUESTS


def test_one_that_is_refused_does_not_keep_the_others(database: Database, clock: Clock) -> None:
    class Picky(FakeMailer):
        def block(self, addresses):  # type: ignore[no-untyped-def]
            if ANN in addresses:
                raise Refused(400, [Problem("no address")])
            super().block(addresses)

    mailer = Picky()
    make(database, ANN, BEA, now=clock())

    assert tell(database, mailer, clock) == Told(put_on=1, refused=1)
    assert mailer.blocklist == {BEA}
    assert tell(database, mailer, clock) == Told()
    with database.reading() as session:
        assert session.get_one(Relay, ANN).refused == "no address"


def test_an_outbox_is_told_nothing_and_forgets_nothing(
    database: Database, mailer: FakeMailer, clock: Clock
) -> None:
    make(database, ANN, now=clock())
    outbox = OutboxMailer(database.transaction)
    assert telling.tell_if_due(database.transaction, outbox, clock=clock) is None
    assert tell(database, outbox, clock) == Told()
    with database.reading() as session:
        assert tallying.counts(session)[R.MANUAL] == 1

    assert tell(database, mailer, clock) == Told(put_on=1)


def test_no_transaction_is_open_while_the_provider_is_told(
    database: Database, clock: Clock
) -> None:
    class Nosy(FakeMailer):
        def block(self, addresses):  # type: ignore[no-untyped-def]
            # On SQLite a second writer would wait; and what changes now is told right after.
            lift(database, ANN, now=clock.advance(seconds=1))
            super().block(addresses)

    mailer = Nosy()
    make(database, ANN, now=clock())
    assert tell(database, mailer, clock) == Told(put_on=1, taken_off=1)
    assert mailer.blocklist == set()


def test_what_was_taken_back_is_forgotten_in_time(
    database: Database, mailer: FakeMailer, clock: Clock
) -> None:
    make(database, ANN, BEA, now=clock())
    lift(database, ANN, now=clock.advance(days=1))
    tell(database, mailer, clock)
    clock.advance(seconds=KEEP.total_seconds() + 1)
    telling.tell_if_due(database.transaction, mailer, clock=clock)

    with database.reading() as session:
        assert session.scalars(select(Relay.canonical)).all() == [BEA]


class Shaky(FakeMailer):
    """Fails every other time, before or after it has done what it was asked to."""

    def __init__(self, dice: Random, clock: Clock) -> None:
        super().__init__()
        self.dice, self.clock, self.is_calm = dice, clock, False
        self.since: dict[str, datetime] = {}

    def block(self, addresses: Sequence[str]) -> None:
        after = self.fate()
        super().block(addresses)
        self.since |= dict.fromkeys(addresses, self.clock())
        if after:
            raise after

    def unblock(self, address: str) -> None:
        after = self.fate()
        super().unblock(address)
        if after:
            raise after

    def fate(self) -> BaseException | None:
        """Raises what keeps it from doing anything; returns what happens once it was done."""
        if self.is_calm or self.dice.random() < 0.5:
            return None
        lost = (Uncertain("500"), Killed())
        if self.dice.random() < 0.5:
            return self.dice.choice(lost)
        before = (Unavailable("no"), Unavailable("429", 5.0, is_limit=True), Locked("403"))
        raise self.dice.choice([*before, *lost])

    def blocked(self, since: datetime) -> Iterator[Sequence[Blocked]]:
        yield [Blocked(one, "unsubscribes", self.since[one]) for one in sorted(self.blocklist)]


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
            with quietly(NotTaken, Uncertain, Killed):
                tell(database, mailer, mailer.clock, most=3)
        case "pull":
            mirroring.pull(database.transaction, mailer, now=now)


def test_whatever_breaks_and_dies_on_the_way_the_two_lists_agree_in_the_end(
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
    assert mailer.blocklist == meant
    mirroring.pull(database.transaction, mailer, now=clock.advance(days=1))
    assert suppressed(database) == meant
    with database.reading() as session:
        assert relaying.waiting(session) == 0


def test_the_lease_is_longer_than_any_request() -> None:
    assert 3 * timedelta(seconds=CONNECT_SECONDS + READ_SECONDS) < LEASE
    assert SKEW > LEASE
