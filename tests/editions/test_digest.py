"""What a digest contains, and that each slot gets one."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nif.database import Database
from nif.editions import digest as editions_digest
from nif.editions.digest import (
    compose_digest,
    list_due_slots,
    make_digest_now,
    make_digest_of_slot,
    next_slot_of_list,
)
from nif.editions.messages import hash_message
from nif.editions.models import Edition, EditionItem, EditionState
from nif.editions.schedule import Slot
from nif.errors import Conflict
from nif.ledger.chain import append_entry
from nif.ledger.models import LedgerEntryKind
from nif.mail.message import Message
from nif.services import Services
from nif.stories.models import Revision, Story
from nif.subscriptions.lists import archive_list, settings_of_list, unarchive_list, update_list
from nif.subscriptions.models import MailingList
from tests.conftest import NOON
from tests.factories import a_draft, a_list, a_story

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def make_digest(
    session: Session,
    services: Services,
    mailing_list: MailingList,
    due_at: datetime = NOON,
    **given: datetime,
) -> Edition:
    edition = make_digest_of_slot(
        session,
        mailing_list,
        Slot(due_at.date(), due_at),
        services.mail_writer,
        now=given.get("now", due_at),
    )
    assert edition is not None
    return edition


def stories(session: Session, edition: Edition) -> list[int]:
    query = select(EditionItem.story_id).where(EditionItem.edition_id == edition.id)
    return list(session.scalars(query.order_by(EditionItem.position)))


def test_a_slot_becomes_a_frozen_edition(session: Session, services: Services) -> None:
    mailing_list = a_list(session)
    older, newer = (a_story(session, at=NOON - hours * HOUR) for hours in (3, 1))

    edition = make_digest(session, services, mailing_list)

    assert (edition.state, edition.slot) == (EditionState.FROZEN, NOON.date())
    assert (edition.due_at, edition.made_at) == (NOON, NOON)
    assert stories(session, edition) == [newer.story_id, older.story_id]
    assert newer.headline in edition.as_message().subject
    assert edition.as_message().headers["List-Id"] == '"NIF Daily" <daily.127.0.0.1>'


def test_the_hash_covers_all_that_a_reader_sees(session: Session, services: Services) -> None:
    a_story(session, at=NOON - HOUR)
    edition = make_digest(session, services, a_list(session))

    message = edition.as_message()
    whole = "\0".join([message.subject, message.text, message.html])
    assert edition.content_hash == hashlib.sha256(whole.encode()).hexdigest()


@pytest.mark.parametrize("field", ["subject", "text", "html"])
def test_different_messages_have_different_hashes(field: str) -> None:
    words = {"from_address": "a@example.com", "from_name": "NIF"}
    same = {"subject": "s", "text": "t", "html": "h"}

    assert hash_message(Message(**words, **same)) == hash_message(Message(**words, **same))
    assert hash_message(Message(**words, **same)) != hash_message(
        Message(**words, **{**same, field: "x"})
    )


def test_the_footer_shows_the_ledgers_root(session: Session, services: Services) -> None:
    mailing_list = a_list(session)
    a_story(session, at=NOON - HOUR)
    entry = append_entry(session, LedgerEntryKind.PUBLISH, {"headline": "H"}, now=NOON - HOUR)

    edition = make_digest(session, services, mailing_list)
    append_entry(session, LedgerEntryKind.UPDATE, {"headline": "H2"}, now=NOON)

    message = edition.as_message()
    assert f"Ledger {entry.entry_hash[:16]}" in message.text
    assert f"Ledger {entry.entry_hash[:16]}" in message.html
    assert edition.content_hash == hash_message(message)


def test_a_slot_without_news_is_empty(session: Session, services: Services) -> None:
    a_draft(session)
    a_story(session, at=NOON - 90 * DAY)
    edition = make_digest(session, services, a_list(session))

    assert (edition.state, edition.message) == (EditionState.EMPTY, None)
    assert stories(session, edition) == []


def test_a_slot_gets_one_edition(session: Session, services: Services) -> None:
    mailing_list = a_list(session)
    a_story(session, at=NOON - HOUR)
    make_digest(session, services, mailing_list)

    again = make_digest_of_slot(
        session, mailing_list, Slot(NOON.date(), NOON), services.mail_writer, now=NOON
    )

    assert again is None
    assert session.scalar(select(func.count()).select_from(Edition)) == 1


def test_five_concurrent_schedulers_make_one_edition(
    database: Database, services: Services
) -> None:
    with database.transaction() as session:
        a_list(session, schedule="daily 12:00")
        a_story(session, at=NOON - HOUR)

    def tick(_: int) -> int:
        with database.transaction() as session:
            mailing_list = session.scalars(select(MailingList)).one()
            kept = [
                make_digest_of_slot(session, mailing_list, slot, services.mail_writer, now=NOON)
                for slot in list_due_slots(session, mailing_list, now=NOON)
                if slot.day == NOON.date()
            ]
        return sum(edition is not None for edition in kept)

    with ThreadPoolExecutor(5) as threads:
        made = list(threads.map(tick, range(5)))

    assert sum(made) == 1
    with database.reading() as session:
        assert session.scalars(select(Edition.state)).all() == [EditionState.FROZEN]
        assert session.scalar(select(func.count()).select_from(EditionItem)) == 1


@pytest.mark.parametrize(
    ("late", "state"),
    [
        (timedelta(0), EditionState.FROZEN),
        (12 * HOUR, EditionState.FROZEN),
        (12 * HOUR + timedelta(seconds=1), EditionState.MISSED),
    ],
)
def test_a_digest_is_made_up_to_twelve_hours_late(
    session: Session, services: Services, late: timedelta, state: EditionState
) -> None:
    a_story(session, at=NOON - HOUR)

    edition = make_digest(session, services, a_list(session), now=NOON + late)

    assert (edition.state, edition.made_at) == (state, NOON + late)


def test_stories_of_a_missed_slot_are_in_the_next_digest(
    session: Session, services: Services
) -> None:
    mailing_list = a_list(session)
    story = a_story(session, at=NOON - HOUR)
    missed = make_digest(session, services, mailing_list, now=NOON + 13 * HOUR)

    edition = make_digest(session, services, mailing_list, NOON + DAY)

    assert (missed.state, missed.message) == (EditionState.MISSED, None)
    assert stories(session, edition) == [story.story_id]


def test_after_a_downtime_every_slot_is_accounted_for(session: Session, services: Services) -> None:
    mailing_list = a_list(session, schedule="daily 07:30")
    for slot in list_due_slots(session, mailing_list, now=NOON - 4 * DAY):
        make_digest_of_slot(session, mailing_list, slot, services.mail_writer, now=NOON - 4 * DAY)
    story = a_story(session, at=NOON - 2 * DAY)

    due = list_due_slots(session, mailing_list, now=NOON)
    made = [
        make_digest_of_slot(session, mailing_list, slot, services.mail_writer, now=NOON)
        for slot in due
    ]

    assert [slot.day for slot in due] == [date(2026, 11, day) for day in (17, 18, 19, 20)]
    assert [edition.state for edition in made if edition] == ["missed"] * 3 + ["frozen"]
    assert stories(session, made[-1]) == [story.story_id]
    assert list_due_slots(session, mailing_list, now=NOON) == []


def test_slots_from_before_a_list_existed_do_not_count(session: Session) -> None:
    mailing_list = a_list(session, schedule="daily 07:30", created_at=NOON - DAY)

    assert [slot.day for slot in list_due_slots(session, mailing_list, now=NOON)] == [NOON.date()]


def test_slots_older_than_eight_days_do_not_count(session: Session) -> None:
    mailing_list = a_list(session, schedule="daily 07:30", created_at=NOON - 300 * DAY)

    assert len(list_due_slots(session, mailing_list, now=NOON)) == 8


def test_editions_of_another_list_do_not_fill_a_slot(session: Session, services: Services) -> None:
    ours, other = (a_list(session, slug=slug, schedule="daily 07:30") for slug in ("a", "b"))
    for slot in list_due_slots(session, other, now=NOON):
        make_digest_of_slot(session, other, slot, services.mail_writer, now=NOON)

    assert len(list_due_slots(session, ours, now=NOON)) == 8


def test_a_story_is_in_one_digest_of_a_list(session: Session, services: Services) -> None:
    mailing_list = a_list(session)
    a_story(session, at=NOON - HOUR)
    make_digest(session, services, mailing_list)
    fresh = a_story(session, at=NOON + HOUR)

    assert stories(session, make_digest(session, services, mailing_list, NOON + DAY)) == [
        fresh.story_id
    ]
    assert make_digest(session, services, mailing_list, NOON + 2 * DAY).state is EditionState.EMPTY


def test_another_list_gets_the_story_too(session: Session, services: Services) -> None:
    daily, weekly = a_list(session), a_list(session, slug="weekly", schedule="weekly fri 08:00")
    story = a_story(session, at=NOON - HOUR)

    editions = [make_digest(session, services, one) for one in (daily, weekly)]

    assert [stories(session, edition) for edition in editions] == [[story.story_id]] * 2


def test_a_story_that_was_committed_late_is_not_lost(session: Session, services: Services) -> None:
    mailing_list = a_list(session)
    a_story(session, at=NOON - HOUR)
    make_digest(session, services, mailing_list)
    late = a_story(session, at=NOON - 2 * HOUR)

    assert stories(session, make_digest(session, services, mailing_list, NOON + DAY)) == [
        late.story_id
    ]


def test_stories_beyond_the_maximum_wait_for_the_next_digest(
    session: Session, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(editions_digest, "MAX_STORIES", 3)
    mailing_list = a_list(session)
    ids = [a_story(session, at=NOON - (9 - n) * HOUR).story_id for n in range(5)]

    first, second = (make_digest(session, services, mailing_list, NOON + n * DAY) for n in range(2))

    assert stories(session, first) == [ids[2], ids[1], ids[0]]
    assert stories(session, second) == [ids[4], ids[3]]


def test_a_digest_full_of_long_stories_can_still_be_mailed(
    session: Session, services: Services
) -> None:
    for n in range(editions_digest.MAX_STORIES):
        a_story(session, at=NOON - n * timedelta(minutes=1), lead="A fairly long lead. " * 30)

    edition = make_digest(session, services, a_list(session))

    assert edition.state is EditionState.FROZEN
    assert len(edition.as_message().html.encode()) <= 100_000


@pytest.mark.parametrize(("schedule", "days"), [("daily 07:30", 1), ("weekly fri 08:00", 7)])
def test_the_first_digest_reaches_back_one_period(
    session: Session, services: Services, schedule: str, days: int
) -> None:
    mailing_list = a_list(session, schedule=schedule, created_at=NOON)
    inside = a_story(session, at=NOON - days * DAY)
    a_story(session, at=NOON - days * DAY - timedelta(seconds=1))

    assert stories(session, make_digest(session, services, mailing_list)) == [inside.story_id]


def test_a_list_with_tags_carries_stories_with_one_of_them(
    session: Session, services: Services
) -> None:
    mailing_list = a_list(session, tags=("ai", "touring"))
    about = a_story(session, at=NOON - 3 * HOUR, tags=["AI", "Deals"])
    a_story(session, at=NOON - 2 * HOUR, tags=["Deals"])
    a_story(session, at=NOON - HOUR, tags=[])

    assert stories(session, make_digest(session, services, mailing_list)) == [about.story_id]
    assert make_digest(session, services, mailing_list, NOON + DAY).state is EditionState.EMPTY


def test_a_list_that_drops_its_tags_is_not_flooded_with_old_stories(
    session: Session, services: Services
) -> None:
    mailing_list = a_list(session, tags=("ai",))
    a_story(session, at=NOON - 9 * DAY, tags=["Deals"])
    fresh = a_story(session, at=NOON - HOUR, tags=["Deals"])
    wide = replace(settings_of_list(mailing_list), tags=())
    update_list(session, mailing_list, wide, version=0, now=NOON)

    assert stories(session, make_digest(session, services, mailing_list)) == [fresh.story_id]


def test_an_archived_list_has_no_slots_and_a_restored_one_resumes(
    session: Session, services: Services
) -> None:
    mailing_list = a_list(session)
    a_story(session, at=NOON - 2 * DAY)
    archive_list(session, mailing_list, now=NOON - 3 * DAY)

    assert list_due_slots(session, mailing_list, now=NOON) == []
    with pytest.raises(Conflict, match="archived"):
        make_digest_now(session, mailing_list, services.mail_writer, now=NOON)

    unarchive_list(session, mailing_list, now=NOON)
    assert list_due_slots(session, mailing_list, now=NOON + HOUR) == []
    assert len(list_due_slots(session, mailing_list, now=NOON + DAY)) == 1
    assert make_digest(session, services, mailing_list, NOON + DAY).state is EditionState.EMPTY


def test_a_digest_comes_from_its_list_in_its_language(session: Session, services: Services) -> None:
    a_story(session, at=NOON - HOUR)
    own = a_list(session, sender_name="NIF Morgen", language="de")
    plain = a_list(session, slug="plain")

    german, house = (make_digest(session, services, one).as_message() for one in (own, plain))

    assert (german.from_name, house.from_name) == ("NIF Morgen", "New Industry Focus")
    assert german.from_address == house.from_address
    assert ('lang="de"' in german.html, 'lang="en"' in house.html) == (True, True)


def test_stories_older_than_sixty_days_are_left_out(session: Session, services: Services) -> None:
    mailing_list = a_list(session, created_at=NOON - 300 * DAY)
    inside = a_story(session, at=NOON - 60 * DAY)
    a_story(session, at=NOON - 61 * DAY)

    assert stories(session, make_digest(session, services, mailing_list)) == [inside.story_id]


def test_a_frozen_edition_does_not_change_with_its_stories(
    database: Database, services: Services
) -> None:
    with database.transaction() as session:
        revision = a_story(session, at=NOON - HOUR)
        edition = make_digest(session, services, a_list(session))
        frozen, pinned = edition.as_message(), edition.content_hash
        session.get_one(Story, revision.story_id).headline = "Something Else"
        session.get_one(Story, revision.story_id).lead = "Nothing of it was true."

    with database.reading() as session:
        again = session.get_one(Edition, edition.id)
        assert again.as_message() == frozen
        assert hash_message(again.as_message()) == pinned
        assert [item.revision_id for item in again.items] == [revision.id]
        assert session.get_one(Revision, revision.id).headline == revision.headline


def test_composing_a_digest_stores_nothing(session: Session, services: Services) -> None:
    mailing_list = a_list(session)
    story = a_story(session, at=NOON - HOUR)

    digest = compose_digest(
        session, mailing_list, Slot(NOON.date(), NOON), services.mail_writer, now=NOON
    )

    assert digest.message is not None
    assert [one.story_id for one in digest.stories] == [story.story_id]
    assert session.scalar(select(func.count()).select_from(Edition)) == 0


def test_the_next_slot_is_in_the_lists_time_zone(session: Session) -> None:
    mailing_list = a_list(session, schedule="daily 07:30", zone="America/New_York")

    assert next_slot_of_list(mailing_list, now=NOON).due_at == NOON + timedelta(minutes=30)
