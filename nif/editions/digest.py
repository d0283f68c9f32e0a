"""Digests: editions that NIF composes from the stories published since the last one."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from nif.editions.correction_editions import (
    list_due_corrections,
    record_carried_notes,
    release_carried_notes,
)
from nif.editions.messages import freeze_edition, make_edition, write_digest_message
from nif.editions.models import DIGEST_OCCASION, Edition, EditionItem, EditionState
from nif.editions.schedule import Slot, compute_next_slot, iterate_slots, parse_schedule, slot_at
from nif.errors import Conflict
from nif.ledger.queries import find_footer_root
from nif.mail.message import MailTooLarge, MailWriter, Message
from nif.stories import queries
from nif.stories.models import Revision
from nif.stories.queries import NoteInContext
from nif.subscriptions.models import MailingList

log = logging.getLogger(__name__)

CATCH_UP_TIME = timedelta(hours=12)
"""How late a digest may still be made."""

SLOT_LOOK_BACK = timedelta(days=8)
"""How far back to look for slots that passed while NIF was down."""

MAX_STORY_AGE = timedelta(days=60)
"""How old a story may be in a digest: after a long break, or a flood of stories."""

HAS_EDITION_TODAY = "This list already has an edition today."
LIST_IS_ARCHIVED = "This list is archived, so it gets no more digests."

MAX_STORIES = 24
"""In one digest, so that no mail program clips it; the rest waits for the next."""


@dataclass(frozen=True)
class ComposedDigest:
    """The content of a digest: stories, corrections, and the message where there is any content."""

    stories: Sequence[Revision]
    message: Message | None
    corrections: Sequence[NoteInContext] = ()


def list_due_slots(session: Session, mailing_list: MailingList, *, now: datetime) -> list[Slot]:
    """The slots of a list that have passed and have no edition yet; none for an archived list."""
    if mailing_list.archived_at is not None:
        return []
    schedule, zone = parse_schedule(mailing_list.schedule), ZoneInfo(mailing_list.zone)
    # Slots from before the schedule was set do not count.
    since = max(mailing_list.scheduled_at, now - SLOT_LOOK_BACK)
    passed = list(iterate_slots(schedule, zone, after=since, until=now))
    filled = select(Edition.slot).where(
        Edition.list_id == mailing_list.id,
        Edition.occasion == DIGEST_OCCASION,
        Edition.slot.in_([slot.day for slot in passed]),
    )
    filled_days = set(session.scalars(filled))
    return [slot for slot in passed if slot.day not in filled_days]


def make_digest_of_slot(
    session: Session,
    mailing_list: MailingList,
    slot: Slot,
    mail_writer: MailWriter,
    *,
    now: datetime,
) -> Edition | None:
    """Make the edition of a slot; None where another process made it first.

    If it is too late, the edition is recorded as missed; without content, as empty; otherwise it is
    frozen: its stories pinned to revisions, its message rendered and hashed.
    """
    edition = make_edition(session, mailing_list, slot, now=now)
    if edition is not None and now - slot.due_at <= CATCH_UP_TIME:
        _fill_edition(session, edition, mail_writer, now)
    return edition


def make_digest_now(
    session: Session, mailing_list: MailingList, mail_writer: MailWriter, *, now: datetime
) -> Edition:
    """Make today's edition by hand, in place of the one that its slot would make.

    Raises Conflict where there is one today, there is nothing new, or the list is archived.
    """
    session.refresh(mailing_list, with_for_update=True)
    if mailing_list.archived_at is not None:
        raise Conflict(LIST_IS_ARCHIVED)
    slot = slot_at(now, mailing_list.zone)
    edition = find_digest(session, mailing_list, slot.day)
    if edition is not None and edition.state is EditionState.FROZEN:
        raise Conflict(HAS_EDITION_TODAY)
    digest = compose_digest(session, mailing_list, slot, mail_writer, now=now)
    if digest.message is None:
        raise Conflict("There is nothing new to send.")
    if edition is None:
        edition = make_edition(session, mailing_list, slot, now=now)
    if edition is None:
        raise Conflict(HAS_EDITION_TODAY)
    edition.due_at = edition.made_at = now
    _fill_edition(session, edition, mail_writer, now)
    return edition


def find_digest(session: Session, mailing_list: MailingList, day: date) -> Edition | None:
    """The edition of a list's slot, whatever became of it."""
    query = select(Edition).where(Edition.list_id == mailing_list.id, Edition.slot == day)
    return session.scalar(query.where(Edition.occasion == DIGEST_OCCASION))


def withdraw_edition(session: Session, edition: Edition, *, now: datetime) -> None:
    """Withdraw an edition that was not mailed: its stories are new again.

    A digest whose slot is still in the future is deleted, as if it had never been made. The
    correction of a withdrawn correction edition goes into the list's next digest.
    """
    session.execute(delete(EditionItem).where(EditionItem.edition_id == edition.id))
    release_carried_notes(session, edition)
    session.expire(edition, ["items"])
    is_digest = edition.occasion == DIGEST_OCCASION
    if is_digest and next_slot_of_list(edition.mailing_list, now=now).day == edition.slot:
        session.delete(edition)
        return
    edition.state, edition.message, edition.content_hash = EditionState.WITHDRAWN, None, None


def compose_digest(
    session: Session,
    mailing_list: MailingList,
    day: Slot,
    mail_writer: MailWriter,
    *,
    now: datetime,
) -> ComposedDigest:
    """The digest that the list would get now, without storing it.

    Where the mail would be clipped, the newer half of the stories waits for the next one. Due
    corrections are always included: where they cannot be rendered, the error is raised.
    """
    stories, root = _list_unsent_stories(session, mailing_list, now), find_footer_root(session)
    corrections = list_due_corrections(session, mailing_list, now=now)
    while stories or corrections:
        try:
            message = write_digest_message(
                mail_writer, mailing_list, day, stories, root, corrections
            )
            return ComposedDigest(stories, message, corrections)
        except MailTooLarge:
            if not stories:
                raise
            stories = stories[len(stories) // 2 :] if len(stories) > 1 else []
        except Exception:
            if not stories:
                raise
            # One story that cannot be rendered must not hold up the others.
            stories = [
                one for one in stories if _can_be_rendered(mail_writer, mailing_list, day, one)
            ]
    return ComposedDigest([], None)


def _can_be_rendered(
    mail_writer: MailWriter, mailing_list: MailingList, day: Slot, story: Revision
) -> bool:
    try:
        write_digest_message(mail_writer, mailing_list, day, [story])
    except Exception:
        log.exception("a story cannot be rendered as mail: revision %s", story.id)
        return False
    return True


def next_slot_of_list(mailing_list: MailingList, *, now: datetime) -> Slot:
    schedule, zone = parse_schedule(mailing_list.schedule), ZoneInfo(mailing_list.zone)
    return compute_next_slot(schedule, zone, after=now)


def _fill_edition(
    session: Session, edition: Edition, mail_writer: MailWriter, now: datetime
) -> None:
    slot = Slot(edition.slot, edition.due_at)
    digest = compose_digest(session, edition.mailing_list, slot, mail_writer, now=now)
    if digest.message is None:
        edition.state = EditionState.EMPTY
        return
    freeze_edition(edition, digest.message)
    session.add_all(
        EditionItem(
            edition_id=edition.id,
            position=position,
            list_id=edition.list_id,
            story_id=revision.story_id,
            revision_id=revision.id,
        )
        for position, revision in enumerate(digest.stories, start=1)
    )
    record_carried_notes(session, edition, digest.corrections)


def _list_unsent_stories(
    session: Session, mailing_list: MailingList, now: datetime
) -> Sequence[Revision]:
    """The stories with the list's tags that the list has not mailed, newest first.

    Not a window between two editions: a story that was published just before one and committed
    just after it would be lost.
    """
    first_window = timedelta(days=1 if parse_schedule(mailing_list.schedule).weekday is None else 7)
    mailed_ids = select(EditionItem.story_id).where(EditionItem.list_id == mailing_list.id)
    return queries.list_stories_since(
        session,
        mailed_ids,
        since=max(mailing_list.news_from - first_window, now - MAX_STORY_AGE),
        most=MAX_STORIES,
        tag_slugs=mailing_list.tags,
    )
