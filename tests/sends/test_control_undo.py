"""Undoing a send before anything was posted: everything is as if it had never been planned."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nif.database import Database
from nif.editions import digest
from nif.editions.models import Edition, EditionState
from nif.editions.schedule import Slot
from nif.errors import Conflict
from nif.mail.provider import ProviderProblem, Refused
from nif.sends import control, leases
from nif.sends.batches import ClaimedBatch
from nif.sends.models import Batch, Delivery, Lease, Send, SendState
from nif.sends.planning import SendTerms, plan_send
from nif.services import Services
from nif.subscriptions.lists import get_list
from tests.conftest import NOON
from tests.factories import a_list, a_story, subscriptions
from tests.sends.helpers import (
    accept,
    attempts,
    claim_next,
    claimed_batch,
    fail_attempt,
    get_send,
    make_uncertain,
    release,
)

BEFORE = NOON.replace(hour=6)
"""An hour and a half before the list's slot of the day."""

UNDO = timedelta(seconds=30)
End = Callable[[Database, ClaimedBatch], object]


def refuse(database: Database, claimed: ClaimedBatch) -> None:
    """The provider refuses the mail because of its sender."""
    problem = ProviderProblem("The from address does not match a verified sender.", "from")
    fail_attempt(database, claimed, Refused(400, [problem]))


def made_by_hand(services: Services, *, now: datetime) -> int:
    """A send of an edition with two stories that a person made and sent."""
    with services.database.transaction() as session:
        mailing_list = a_list(session)
        subscriptions(session, mailing_list, 3)
        for _ in range(2):
            a_story(session, at=now - timedelta(hours=1))
        edition = digest.make_digest_now(session, mailing_list, services.mail_writer, now=now)
        send = plan_send(session, edition, SendTerms(undo_period=UNDO), now=now)
        assert send is not None
        return send.id


def take_back(database: Database, send_id: int, *, now: datetime) -> None:
    with database.transaction() as session:
        control.undo_send(session, control.get_send(session, send_id), now=now)


def remake(session: Session, services: Services, *, now: datetime) -> Edition:
    return digest.make_digest_now(
        session, get_list(session, "daily"), services.mail_writer, now=now
    )


def rows(database: Database) -> list[int]:
    with database.reading() as session:
        kinds = (Send, Batch, Delivery, Lease)
        return [session.scalar(select(func.count()).select_from(one)) or 0 for one in kinds]


def test_nothing_is_posted_while_a_send_can_be_undone(services: Services) -> None:
    send_id = made_by_hand(services, now=NOON)

    assert get_send(services.database, send_id).starts_at == NOON + UNDO
    assert claim_next(services.database, send_id, now=NOON + UNDO - timedelta(seconds=1)) is None
    assert claim_next(services.database, send_id, now=NOON + UNDO) is not None


def test_an_undone_send_leaves_no_rows(services: Services) -> None:
    send_id = made_by_hand(services, now=NOON)
    with services.database.transaction() as session:
        leases.begin_lease(session, send_id, now=NOON)
    assert rows(services.database) == [1, 1, 3, 1]

    take_back(services.database, send_id, now=NOON)
    assert rows(services.database) == [0, 0, 0, 0]


def test_an_edition_undone_after_its_slot_is_withdrawn_and_can_be_made_again(
    services: Services,
) -> None:
    take_back(services.database, made_by_hand(services, now=NOON), now=NOON)

    with services.database.transaction() as session:
        edition = session.scalars(select(Edition)).one()
        assert edition.state is EditionState.WITHDRAWN
        assert (edition.items, edition.message, edition.content_hash) == ([], None, None)
        due = digest.list_due_slots(session, edition.mailing_list, now=NOON)
        assert NOON.date() not in [slot.day for slot in due]

    with services.database.transaction() as session:
        again = remake(session, services, now=NOON + timedelta(minutes=5))
        assert (again.id, again.state, len(again.items)) == (edition.id, EditionState.FROZEN, 2)
        assert plan_send(session, again, now=NOON) is not None


def test_an_edition_undone_before_its_slot_is_deleted_and_the_slot_makes_its_own(
    services: Services,
) -> None:
    take_back(services.database, made_by_hand(services, now=BEFORE), now=BEFORE)

    with services.database.transaction() as session:
        assert session.scalars(select(Edition)).all() == []
        mailing_list = get_list(session, "daily")
        slots = digest.list_due_slots(session, mailing_list, now=NOON)
        assert NOON.date() in [slot.day for slot in slots]
        slot = Slot(NOON.date(), NOON.replace(hour=7, minute=30))
        edition = digest.make_digest_of_slot(
            session, mailing_list, slot, services.mail_writer, now=slot.due_at
        )
        assert edition is not None
        assert (edition.state, len(edition.items)) == (EditionState.FROZEN, 2)


@pytest.mark.parametrize("end", [None, accept, make_uncertain])
def test_a_send_of_which_something_left_or_may_have_cannot_be_undone(
    services: Services, end: End | None
) -> None:
    send_id = made_by_hand(services, now=NOON)
    claimed = claimed_batch(services.database, send_id, now=NOON + UNDO)
    if end is not None:
        end(services.database, claimed)

    with pytest.raises(Conflict, match="too late to undo this send"):
        take_back(services.database, send_id, now=NOON + UNDO)
    assert rows(services.database) == [1, 1, 3, 1]
    with services.database.reading() as session:
        assert session.scalars(select(Edition.state)).one() is EditionState.FROZEN


@pytest.mark.parametrize("end", [refuse, release])
def test_a_send_whose_attempts_were_not_accepted_can_be_undone_and_its_records_stay(
    services: Services, end: End
) -> None:
    send_id = made_by_hand(services, now=NOON)
    claimed = claimed_batch(services.database, send_id, now=NOON + UNDO)
    end(services.database, claimed)

    take_back(services.database, send_id, now=NOON + UNDO)

    assert rows(services.database) == [1, 1, 3, 1]
    assert [one.id for one in attempts(services.database, send_id)] == [claimed.attempt_id]
    send = get_send(services.database, send_id)
    assert (send.state, send.stop_detail) == (
        SendState.CANCELLED,
        "Undone by a person. Nothing of it had left.",
    )
    with services.database.transaction() as session:
        undone = session.scalars(select(Edition)).one()
        assert (undone.state, undone.items) == (EditionState.WITHDRAWN, [])
        again = remake(session, services, now=NOON + timedelta(minutes=5))
        assert (again.id != undone.id, len(again.items)) == (True, 2)
        assert plan_send(session, again, now=NOON) is not None


def test_an_attempted_edition_undone_before_its_slot_leaves_the_slot_its_own(
    services: Services,
) -> None:
    send_id = made_by_hand(services, now=BEFORE)
    refuse(services.database, claimed_batch(services.database, send_id, now=BEFORE + UNDO))
    take_back(services.database, send_id, now=BEFORE + UNDO)

    with services.database.transaction() as session:
        mailing_list = get_list(session, "daily")
        due = digest.list_due_slots(session, mailing_list, now=NOON)
        (slot,) = [slot for slot in due if slot.day == NOON.date()]
        edition = digest.make_digest_of_slot(
            session, mailing_list, slot, services.mail_writer, now=slot.due_at
        )
        assert edition is not None
        assert (edition.state, len(edition.items)) == (EditionState.FROZEN, 2)


def test_an_undo_leaves_other_sends_as_they_are(services: Services) -> None:
    send_id = made_by_hand(services, now=NOON)
    with services.database.transaction() as session:
        weekly = a_list(session, "weekly", schedule="weekly mon 07:30")
        subscriptions(session, weekly, 2)
        edition = digest.make_digest_now(session, weekly, services.mail_writer, now=NOON)
        assert plan_send(session, edition, now=NOON) is not None
    take_back(services.database, send_id, now=NOON)

    assert rows(services.database) == [1, 1, 2, 0]
    with services.database.reading() as session:
        frozen = select(Edition).where(Edition.state == EditionState.FROZEN)
        assert len(session.scalars(frozen).one().items) == 2
