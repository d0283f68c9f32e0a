"""Cancelling a send of which nothing left: its stories are new again, its slot is made by hand."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from nif.database import Database
from nif.editions import digest
from nif.editions.models import Edition, EditionState
from nif.errors import Conflict
from nif.sends import control
from nif.sends.batches import ClaimedBatch
from nif.sends.evidence import AttemptResult, believe
from nif.sends.models import Attempt, Send, SendState
from nif.sends.planning import SendTerms, plan_manual_send, plan_send
from nif.services import Services
from nif.subscriptions.lists import get_list
from tests.conftest import NOON
from tests.factories import a_list, a_story, subscriptions
from tests.sends.helpers import (
    accept,
    claimed_batch,
    get_send,
    make_uncertain,
    planned_send,
    post_events,
    release,
    sendgrid_event,
)

TERMS = SendTerms(batch_size=2)
LATER, NEXT_DAY = NOON + timedelta(hours=1), NOON + timedelta(days=1)
End = Callable[[Database, ClaimedBatch], object]


def digest_of_noon(services: Services) -> int:
    """A send in two batches of a digest with two stories."""
    with services.database.transaction() as session:
        mailing_list = a_list(session)
        subscriptions(session, mailing_list, 4)
        for _ in range(2):
            a_story(session, at=NOON - timedelta(hours=1))
        edition = digest.make_digest_now(session, mailing_list, services.mail_writer, now=NOON)
        send = plan_send(session, edition, TERMS, now=NOON)
        assert send is not None
        return send.id


def cancel(services: Services, send_id: int) -> None:
    with services.database.transaction() as session:
        control.cancel_send(session, control.get_send(session, send_id), now=NOON)


def make_again(services: Services, edition_id: int, *, now: datetime = LATER) -> Send:
    with services.database.transaction() as session:
        edition = session.get_one(Edition, edition_id)
        made = digest.make_digest_again(session, edition, services.mail_writer, now=now)
        return plan_manual_send(session, made, TERMS, at=now, now=now)


def edition_of(services: Services, send_id: int) -> Edition:
    with services.database.reading() as session:
        edition = control.get_send(session, send_id).edition
        assert edition.items is not None is not edition.mailing_list
        return edition


def stories_now(services: Services) -> int:
    """How many stories the next digest would have."""
    with services.database.reading() as session:
        mailing_list = session.scalars(select(Edition)).first().mailing_list  # type: ignore[union-attr]
        slot = digest.next_slot_of_list(mailing_list, now=LATER)
        writer = services.mail_writer
        return len(digest.compose_digest(session, mailing_list, slot, writer, now=LATER).stories)


def test_the_stories_of_a_cancelled_send_of_which_nothing_left_are_new_again(
    services: Services,
) -> None:
    send_id = digest_of_noon(services)
    assert stories_now(services) == 0
    cancel(services, send_id)

    assert stories_now(services) == 2
    edition = edition_of(services, send_id)
    assert (edition.state, edition.items) == (EditionState.CANCELLED, [])
    assert edition.as_message().subject


def test_a_cancelled_slot_has_no_digest_until_a_person_makes_it_again(services: Services) -> None:
    send_id = digest_of_noon(services)
    cancel(services, send_id)
    edition = edition_of(services, send_id)
    with services.database.transaction() as session:
        due = digest.list_due_slots(session, edition.mailing_list, now=LATER)
        assert NOON.date() not in [slot.day for slot in due]

    again = make_again(services, edition.id)

    made = edition_of(services, again.id)
    assert (made.state, made.slot, len(made.items)) == (EditionState.FROZEN, edition.slot, 2)
    assert (again.audience, again.starts_at) == (4, LATER)
    assert get_send(services.database, send_id).state is SendState.CANCELLED
    assert edition_of(services, send_id).as_message().subject
    with pytest.raises(Conflict, match="can be made again"):
        make_again(services, edition.id)
    with pytest.raises(Conflict, match="can be made again"):
        make_again(services, made.id)


def test_a_digest_is_made_again_with_what_is_new_by_then(services: Services) -> None:
    send_id = digest_of_noon(services)
    cancel(services, send_id)
    with services.database.transaction() as session:
        a_story(session, at=NOON + timedelta(minutes=5))

    again = make_again(services, edition_of(services, send_id).id)

    assert len(edition_of(services, again.id).items) == 3


def test_a_digest_is_not_made_again_once_the_list_has_mailed_a_later_one(
    services: Services,
) -> None:
    send_id = digest_of_noon(services)
    cancel(services, send_id)
    edition = edition_of(services, send_id)
    with services.database.transaction() as session:
        mailing_list = get_list(session, "daily")
        later = digest.make_digest_now(session, mailing_list, services.mail_writer, now=NEXT_DAY)
        assert len(later.items) == 2

    with pytest.raises(Conflict, match="can be made again"):
        make_again(services, edition.id, now=NEXT_DAY)


@pytest.mark.parametrize(("end", "stories"), [(release, 2), (accept, 0), (make_uncertain, 0)])
def test_the_stories_wait_until_it_is_certain_that_nothing_left(
    services: Services, end: End, stories: int
) -> None:
    send_id = digest_of_noon(services)
    claimed = claimed_batch(services.database, send_id)
    cancel(services, send_id)
    assert stories_now(services) == 0

    end(services.database, claimed)

    assert stories_now(services) == stories


def test_a_cancelled_send_of_which_something_left_keeps_its_stories_and_is_not_made_again(
    services: Services,
) -> None:
    send_id = digest_of_noon(services)
    accept(services.database, claimed_batch(services.database, send_id))
    cancel(services, send_id)

    assert stories_now(services) == 0
    assert edition_of(services, send_id).state is EditionState.FROZEN
    with pytest.raises(Conflict, match="can be made again"):
        make_again(services, edition_of(services, send_id).id)


def test_a_slot_gets_no_second_mail_where_an_event_proves_that_the_first_one_left(
    services: Services,
) -> None:
    send_id = digest_of_noon(services)
    claimed = claimed_batch(services.database, send_id)
    release(services.database, claimed)
    cancel(services, send_id)
    assert stories_now(services) == 2
    post_events(services.database, sendgrid_event(claimed.attempt_id))

    with pytest.raises(Conflict, match="was accepted after all"):
        make_again(services, edition_of(services, send_id).id)
    with services.database.reading() as session:
        assert session.scalars(select(Send.id)).all() == [send_id]


@pytest.mark.parametrize("seen", [None, NOON])
def test_what_is_believed_of_an_attempt_is_the_same_in_sql(
    database: Database, seen: datetime | None
) -> None:
    claimed = claimed_batch(database, planned_send(database, count=1))
    for result in (None, *AttemptResult):
        with database.transaction() as session:
            attempt = session.get_one(Attempt, claimed.attempt_id)
            attempt.result, attempt.event_seen_at = result, seen
            session.flush()
            told = session.execute(select(Attempt.left, Attempt.may_have_left)).one()
            belief = believe(result, is_reported=seen is not None)
        assert tuple(map(bool, told)) == (attempt.left, attempt.may_have_left), (result, belief)
