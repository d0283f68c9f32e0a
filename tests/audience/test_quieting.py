"""Quiet readers: who counts as one, who is asked, and who is let go after all that."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.audience import parting, quieting
from nif.audience.quieting import Grown, Plan
from nif.editions.archive import newest_sent
from nif.errors import Conflict, Expired, Invalid
from nif.parts import Parts
from nif.rights.receipts import receipts
from nif.sends import planning
from nif.sends.asking import count_answers, send_of
from nif.sends.askings import Asking, AskingState
from nif.sends.certifying import certify
from nif.sends.courier import Courier
from nif.sends.delivering import deliver
from nif.sends.events import Event
from nif.sends.models import Attempt
from nif.sends.reading import deliverable_sends
from nif.subscriptions import leaving, pausing, staying
from nif.subscriptions.consenting import Circumstances, record
from nif.subscriptions.models import (
    Consent,
    ConsentAction,
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
    SuppressionReason,
)
from nif.subscriptions.reading import get_list
from nif.subscriptions.suppressing import suppress
from tests.conftest import NOON
from tests.factories import HERE, a_list, a_subscription
from tests.fakes import FakeMailer
from tests.sends.conftest import Clock

DAY = timedelta(days=1)
LONG_AGO = NOON - 900 * DAY
TERMS = planning.Terms()
PLAN = Plan(months=12, wait_days=14, per_hour=1200, people=1000)
BY_LINK = Circumstances(staying.STAYED)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


@pytest.fixture
def courier(parts: Parts, mailer: FakeMailer, clock: Clock) -> Courier:
    return replace(parts.courier, mailer=mailer, clock=clock, concurrency=1)


def a_reader(session: Session, daily: MailingList, name: str, *, at: datetime = LONG_AGO) -> int:
    """Somebody who came and confirmed at that time, as the record has it."""
    one = a_subscription(session, daily, f"{name}@example.com")
    one.asked_at = one.confirmed_at = one.subscriber.created_at = at
    record(session, one, ConsentAction.CONFIRMED, HERE, now=at)
    session.flush()
    return one.subscriber_id


def click(session: Session, who: int, at: datetime, kind: str = "click") -> None:
    attempts = select(Attempt.id).where(Attempt.first <= who, Attempt.last >= who)
    attempt_id = session.scalar(attempts.order_by(Attempt.id))
    number = f"{kind}-{who}-{at:%Y%m%d}"
    session.add(
        Event(
            id=number,
            kind=kind,
            attempt_id=attempt_id,
            subscriber_id=who,
            happened_at=at,
            received_at=at,
            detail=None,
        )
    )
    session.flush()


def on(session: Session, who: int) -> Subscription:
    return session.scalars(select(Subscription).where(Subscription.subscriber_id == who)).one()


def states(session: Session) -> dict[str, str]:
    query = select(Subscriber.address, Subscription.state).join(
        Subscription, Subscription.subscriber_id == Subscriber.id
    )
    return {
        address.partition("@")[0]: state.value
        for address, state in session.execute(query.order_by(Subscriber.id))
    }


def asked(parts: Parts, *names: str) -> Asking:
    """These readers, who are quiet, are being asked."""
    with parts.database.transaction() as session:
        daily = a_list(session)
        for name in names:
            a_reader(session, daily, name)
        return quieting.begin(session, daily, PLAN, parts.desk, TERMS, now=NOON)


def mail_all(courier: Courier, clock: Clock) -> None:
    for _ in range(60):
        with courier.transaction() as session:
            due = deliverable_sends(session, now=clock())
        for send_id in due:
            deliver(courier, send_id)
        clock.advance(minutes=1)


@contextmanager
def again(parts: Parts, asking: Asking) -> Iterator[tuple[Session, Asking]]:
    with parts.database.transaction() as session:
        yield session, session.get_one(Asking, asking.id)


def let_go(parts: Parts, asking: Asking, *, now: datetime) -> None:
    with again(parts, asking) as (session, found):
        people = parting.count(session, found, now=now)
        parting.begin(session, found, expected=people, now=now)
    parting.let_all_go(parts.database.transaction, asking.id, now=now)


def test_quiet_is_who_was_here_for_long_and_did_nothing_that_only_a_reader_does(
    session: Session,
) -> None:
    daily = a_list(session)
    quiet = a_reader(session, daily, "quiet")
    imported = a_reader(session, daily, "imported", at=NOON - 5 * DAY)
    on(session, imported).confirmed_at = LONG_AGO
    taken = on(session, a_reader(session, daily, "taken"))
    by_admin = Circumstances("/admin/subscribers")
    record(session, taken, ConsentAction.CHANGED, by_admin, now=NOON - DAY)
    a_reader(session, daily, "new", at=NOON - 100 * DAY)
    changed = on(session, a_reader(session, daily, "changed"))
    record(session, changed, ConsentAction.CHANGED, HERE, now=NOON - 30 * DAY)
    click(session, a_reader(session, daily, "clicked"), NOON - 30 * DAY)
    click(session, a_reader(session, daily, "opened"), NOON - 30 * DAY, "open")
    click(session, a_reader(session, daily, "once"), NOON - 400 * DAY)
    paused = session.get_one(Subscriber, a_reader(session, daily, "paused"))
    paused.paused_until = NOON + DAY
    suppress(session, "gone@example.com", SuppressionReason.BOUNCED, source="x", now=NOON)
    a_reader(session, daily, "gone")
    left = on(session, a_reader(session, daily, "left"))
    leaving.leave(session, left, HERE, now=NOON - 500 * DAY)
    session.flush()

    found = session.scalars(quieting.quiet_readers(daily.id, 12, now=NOON)).all()

    names = {session.get_one(Subscriber, one).address.partition("@")[0] for one in found}
    assert names == {"quiet", "taken", "opened", "once"}
    counts = [quieting.count(session, daily.id, months, now=NOON) for months in quieting.MONTHS]
    assert counts == [4, 4, 3]
    assert quiet in found


def test_who_did_not_answer_is_let_go_and_nobody_else(
    parts: Parts, courier: Courier, clock: Clock, mailer: FakeMailer
) -> None:
    names = [*("silent", "stays", "clicks", "changes", "pauses", "leaves"), *("bounced", "blocked")]
    names += ["late", "spam", "put_off"]
    mailer.refuses.add("refused@example.com")
    asking = asked(parts, *names, "refused", "early")
    with parts.database.transaction() as session:
        ids = {name: on(session, one).subscriber_id for one, name in _ids(session)}
        # Before their turn came.
        record(session, on(session, ids["early"]), ConsentAction.CHANGED, HERE, now=NOON)

    mail_all(courier, clock)

    assert sorted(mailer.addresses()) == sorted(f"{name}@example.com" for name in names)
    assert len(mailer.posted[0][1].headers) == 1
    then = clock()
    with parts.database.transaction() as session:
        assert newest_sent(session, get_list(session, "daily")) == []
        stay = on(session, ids["stays"])
        staying.stay(session, stay, BY_LINK, now=then)
        click(session, ids["clicks"], then)
        record(session, on(session, ids["changes"]), ConsentAction.CHANGED, HERE, now=then)
        reader = session.get_one(Subscriber, ids["pauses"])
        pausing.pause(session, reader, then + 60 * DAY, HERE, now=then)
        leaving.leave(session, on(session, ids["leaves"]), HERE, now=then)
        click(session, ids["bounced"], then, "bounce")
        click(session, ids["blocked"], then, "blocked")
        click(session, ids["put_off"], then, "deferred")
        click(session, ids["late"], then, "deferred")
        click(session, ids["late"], then, "delivered")
        spam = SuppressionReason.COMPLAINED
        suppress(session, "spam@example.com", spam, source="x", now=then)
        found = session.get_one(Asking, asking.id)
        with pytest.raises(Conflict, match="not over"):
            parting.begin(session, found, expected=99, now=then + 13 * DAY)
        assert parting.count(session, found, now=then + 15 * DAY) == 2
        with pytest.raises(Grown):
            parting.begin(session, found, expected=1, now=then + 15 * DAY)
        count_answers(session, found, now=then)
        assert (found.answered, found.gone) == (1, 1)

    let_go(parts, asking, now=then + 15 * DAY)

    with again(parts, asking) as (session, found):
        gone = {name for name, state in states(session).items() if state == "left"}
        assert gone == {"silent", "late", "leaves"}
        assert (found.state, found.let_go) == (AskingState.DONE, 2)
        why = session.scalars(
            select(Consent.source).where(
                Consent.subscriber_id == ids["silent"], Consent.action == ConsentAction.LEFT
            )
        ).one()
        assert why == f"asked:{asking.id}, no answer in 14 days"
        assert session.get(Suppression, "silent@example.com") is None
        daily = get_list(session, "daily")
        assert (daily.confirmed_count, daily.left_count) == (10, 3)
        count_answers(session, found, now=then)
        assert (found.answered, found.gone) == (1, 1)
        # It was our doing, and no sign of theirs.
        assert not quieting.is_under_way(found)
    made = certify(parts.database, _send_id(parts, asking), now=then)
    assert (made.faults, made.spoke, sum(made.refused.values())) == ([], 1, 1)


def _ids(session: Session) -> list[tuple[int, str]]:
    query = select(Subscriber.id, Subscriber.address)
    return [(one, address.partition("@")[0]) for one, address in session.execute(query)]


def _send_id(parts: Parts, asking: Asking) -> int:
    with again(parts, asking) as (session, found):
        return send_of(session, found).id


def test_a_late_answer_brings_back_who_was_let_go_but_not_who_left(
    parts: Parts, courier: Courier, clock: Clock, mailer: FakeMailer
) -> None:
    asking = asked(parts, "silent", "leaves")
    mail_all(courier, clock)
    tokens = {
        copy.address.partition("@")[0]: copy.values["%nif.answer%"].rpartition("/")[2]
        for _, _, copies in mailer.posted
        for copy in copies
    }
    with parts.database.transaction() as session:
        leaves = staying.find_by_token(session, tokens["leaves"], parts.tokens)
        leaving.leave(session, leaves, HERE, now=clock())
    let_go(parts, asking, now=NOON + 20 * DAY)

    with parts.database.transaction() as session:
        late = staying.find_by_token(session, tokens["silent"], parts.tokens)
        assert late.state is SubscriptionState.LEFT
        told = receipts(session, late.subscriber_id)[-1]
        assert told["how"].startswith("by us: the reader was asked")
        staying.stay(session, late, BY_LINK, now=NOON + 30 * DAY)
        leaves = staying.find_by_token(session, tokens["leaves"], parts.tokens)
        with pytest.raises(Expired):
            staying.stay(session, leaves, BY_LINK, now=NOON + 30 * DAY)
        assert states(session) == {"silent": "confirmed", "leaves": "left"}
        assert get_list(session, "daily").confirmed_count == 1
        assert quieting.count(session, late.list_id, 12, now=NOON + 200 * DAY) == 0


def test_killed_between_two_pieces_it_goes_on_and_who_answers_meanwhile_stays(
    parts: Parts,
    courier: Courier,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parting, "PIECE", 2)
    asking = asked(parts, *(f"r{n}" for n in range(6)))
    mail_all(courier, clock)
    then = NOON + 20 * DAY
    with again(parts, asking) as (session, found):
        parting.begin(session, found, expected=6, now=then)
    with again(parts, asking) as (session, found):
        assert parting.let_go_piece(session, asking.id, now=then)
    with Session(parts.database.engine) as killed:
        parting.let_go_piece(killed, asking.id, now=then)
    with again(parts, asking) as (session, found):
        assert list(states(session).values()) == ["left"] * 2 + ["confirmed"] * 4
        with pytest.raises(Conflict, match="under way"):
            parting.begin(session, found, expected=6, now=then)
        fourth = session.scalars(select(Subscriber.id).order_by(Subscriber.id)).all()[3]
        staying.stay(session, on(session, fourth), BY_LINK, now=then)

        assert parting.due(session) == [asking.id]
    parting.let_all_go(parts.database.transaction, asking.id, now=then)

    with again(parts, asking) as (session, found):
        expected = ["left"] * 3 + ["confirmed"] + ["left"] * 2
        assert list(states(session).values()) == expected
        assert (found.let_go, found.state) == (5, AskingState.DONE)
        daily = get_list(session, "daily")
        assert (daily.confirmed_count, daily.left_count) == (1, 5)


def test_who_answers_in_the_very_moment_of_being_let_go_is_a_reader_in_the_end(
    parts: Parts, courier: Courier, clock: Clock
) -> None:
    asking = asked(parts, "ann")
    mail_all(courier, clock)
    then = NOON + 20 * DAY
    with again(parts, asking) as (session, found):
        parting.begin(session, found, expected=1, now=then)
        token = staying.stay_token(
            session.scalars(select(Subscriber.id)).one(), found.list_id, parts.tokens
        )

    def answer() -> None:
        with parts.database.transaction() as session:
            mine = staying.find_by_token(session, token, parts.tokens)
            staying.stay(session, mine, BY_LINK, now=then)

    with ThreadPoolExecutor(1) as pool:
        with parts.database.transaction() as session:
            parting.let_go_piece(session, asking.id, now=then)
            # It waits for the row, and finds itself let go.
            answering = pool.submit(answer)
        answering.result()

    with parts.database.transaction() as session:
        assert states(session) == {"ann": "confirmed"}
        daily = get_list(session, "daily")
        assert (daily.confirmed_count, daily.left_count) == (1, 0)


def test_stopping_lets_nobody_go_and_then_it_can_be_begun_anew(
    parts: Parts, courier: Courier, clock: Clock, mailer: FakeMailer
) -> None:
    asking = asked(parts, "ann", "bo")
    with again(parts, asking) as (session, _), pytest.raises(Conflict, match="asked already"):
        quieting.begin(session, get_list(session, "daily"), PLAN, parts.desk, TERMS, now=NOON + DAY)
    with again(parts, asking) as (session, found):
        quieting.stop(session, found, now=NOON)
        with pytest.raises(Conflict):
            quieting.stop(session, found, now=NOON)
    mail_all(courier, clock)
    assert mailer.addresses() == []

    with again(parts, asking) as (session, found):
        with pytest.raises(Conflict):
            parting.begin(session, found, expected=9, now=NOON + 300 * DAY)
        daily = get_list(session, "daily")
        few, hasty = replace(PLAN, people=1), replace(PLAN, wait_days=3)
        with pytest.raises(Grown):
            quieting.begin(session, daily, few, parts.desk, TERMS, now=NOON + DAY)
        with pytest.raises(Invalid):
            quieting.begin(session, daily, hasty, parts.desk, TERMS, now=NOON + DAY)
        assert quieting.begin(session, daily, PLAN, parts.desk, TERMS, now=NOON + DAY)
        assert get_list(session, "daily").confirmed_count == 2
