"""Digests: editions that compose themselves of what was published since the last one."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from nif.database import insert_into
from nif.editions.correcting import carry, carry_none, corrections_due
from nif.editions.models import DIGEST, Edition, EditionItem, EditionState
from nif.editions.scheduling import Slot, next_slot, read_schedule, slots
from nif.editions.writing import Desk, digest_message, hash_of
from nif.errors import Conflict
from nif.ledger.reading import footer_root
from nif.mail.message import Message
from nif.mail.rendering import TooLarge
from nif.stories import reading
from nif.stories.history import Told
from nif.stories.models import Revision
from nif.subscriptions.models import MailingList

log = logging.getLogger(__name__)

CATCH_UP = timedelta(hours=12)
"""A digest that could not be made in time is still made this much later, and then no more."""

LOOK_BACK = timedelta(days=8)
"""How far back slots are looked for which nobody was there to keep."""

REACH = timedelta(days=60)
"""How old news may be when a list gets it at last: after a long break, or a flood of stories."""

HAD_ITS_EDITION = "This list has had its edition today."

ARCHIVED = "This list is archived: no digest of it goes out any more."

MOST_STORIES = 24
"""In one digest, so that no mail program clips it; what is over comes in the next one."""


@dataclass(frozen=True)
class Digest:
    """What a digest would say now: the stories, what is set right, and the message where there is
    anything to say."""

    stories: Sequence[Revision]
    message: Message | None
    corrections: Sequence[Told] = ()


def due_slots(session: Session, mailing_list: MailingList, *, now: datetime) -> list[Slot]:
    """The slots of a list that have come and for which there is no edition yet.

    An archived list keeps none.
    """
    if mailing_list.archived_at is not None:
        return []
    schedule, zone = read_schedule(mailing_list.schedule), ZoneInfo(mailing_list.zone)
    # A schedule keeps no slots from before it was set.
    since = max(mailing_list.scheduled_at, now - LOOK_BACK)
    come = list(slots(schedule, zone, after=since, until=now))
    kept = set(
        session.scalars(
            select(Edition.slot).where(
                Edition.list_id == mailing_list.id,
                Edition.occasion == DIGEST,
                Edition.slot.in_([slot.day for slot in come]),
            )
        )
    )
    return [slot for slot in come if slot.day not in kept]


def keep_slot(
    session: Session, mailing_list: MailingList, slot: Slot, desk: Desk, *, now: datetime
) -> Edition | None:
    """Make the edition of a slot; None where someone else made it first.

    Too late, it is noted as missed; without news or corrections, as empty; else it is frozen: its
    stories pinned to revisions, its message rendered and hashed.
    """
    edition = _first_to_make(session, mailing_list, slot, now)
    if edition is not None and now - slot.due_at <= CATCH_UP:
        _fill(session, edition, mailing_list, desk, now)
    return edition


def _first_to_make(
    session: Session, mailing_list: MailingList, slot: Slot, now: datetime
) -> Edition | None:
    """The digest of a slot, with nothing in it yet; None where someone else made it first."""
    edition_id = session.scalar(
        insert_into(session, Edition)
        .values(
            list_id=mailing_list.id,
            slot=slot.day,
            due_at=slot.due_at,
            made_at=now,
            state=EditionState.MISSED,
            occasion=DIGEST,
        )
        .on_conflict_do_nothing(index_elements=[Edition.list_id, Edition.slot, Edition.occasion])
        .returning(Edition.id)
    )
    return None if edition_id is None else session.get_one(Edition, edition_id)


def make_now(session: Session, mailing_list: MailingList, desk: Desk, *, now: datetime) -> Edition:
    """Make today's edition by hand, in place of the one that its slot would make.

    Raises Conflict where today has had one, there is nothing new to tell, or the list is archived.
    """
    session.refresh(mailing_list, with_for_update=True)
    if mailing_list.archived_at is not None:
        raise Conflict(ARCHIVED)
    slot = Slot(now.astimezone(ZoneInfo(mailing_list.zone)).date(), now)
    edition = session.scalar(
        select(Edition).where(
            Edition.list_id == mailing_list.id,
            Edition.slot == slot.day,
            Edition.occasion == DIGEST,
        )
    )
    if edition is not None and edition.state is EditionState.FROZEN:
        raise Conflict(HAD_ITS_EDITION)
    digest = compose(session, mailing_list, slot, desk, now=now)
    if digest.message is None:
        raise Conflict("There is nothing new to send.")
    if edition is None:
        edition = _first_to_make(session, mailing_list, slot, now)
    if edition is None:
        raise Conflict(HAD_ITS_EDITION)
    edition.due_at = edition.made_at = now
    _fill(session, edition, mailing_list, desk, now)
    return edition


def withdraw(session: Session, edition: Edition, *, now: datetime) -> None:
    """Take an edition back of which nobody has had anything: its stories are news again.

    A digest whose slot is yet to come is as if it had never been made. What the edition of a note
    would have said is told by the list's next digest.
    """
    session.execute(delete(EditionItem).where(EditionItem.edition_id == edition.id))
    carry_none(session, edition)
    session.expire(edition, ["items"])
    is_digest = edition.occasion == DIGEST
    if is_digest and upcoming(edition.mailing_list, now=now).day == edition.slot:
        session.delete(edition)
        return
    edition.state, edition.message, edition.content_hash = EditionState.WITHDRAWN, None, None


def compose(
    session: Session, mailing_list: MailingList, day: Slot, desk: Desk, *, now: datetime
) -> Digest:
    """The digest that the list would get now, without keeping it.

    Where all the news would make a mail that is cut short, the newer half waits for the next one.
    No edition leaves without the corrections that are due: where they cannot be written, it raises.
    """
    stories, root = _news(session, mailing_list, now), footer_root(session)
    corrections = corrections_due(session, mailing_list, now=now)
    while stories or corrections:
        try:
            message = digest_message(desk, mailing_list, day, stories, root, corrections)
            return Digest(stories, message, corrections)
        except TooLarge:
            if not stories:
                raise
            stories = stories[len(stories) // 2 :] if len(stories) > 1 else []
        except Exception:
            if not stories:
                raise
            # One story that cannot be written must not keep the others from their readers.
            stories = [one for one in stories if _can_be_written(desk, mailing_list, day, one)]
    return Digest([], None)


def _can_be_written(desk: Desk, mailing_list: MailingList, day: Slot, story: Revision) -> bool:
    try:
        digest_message(desk, mailing_list, day, [story])
    except Exception:
        log.exception("a story cannot be written as mail: revision %s", story.id)
        return False
    return True


def upcoming(mailing_list: MailingList, *, now: datetime) -> Slot:
    """The next slot of a list."""
    return next_slot(read_schedule(mailing_list.schedule), ZoneInfo(mailing_list.zone), after=now)


def _fill(
    session: Session, edition: Edition, mailing_list: MailingList, desk: Desk, now: datetime
) -> None:
    digest = compose(session, mailing_list, Slot(edition.slot, edition.due_at), desk, now=now)
    if digest.message is None:
        edition.state = EditionState.EMPTY
        return
    edition.state = EditionState.FROZEN
    edition.message = asdict(digest.message)
    edition.content_hash = hash_of(digest.message)
    for position, revision in enumerate(digest.stories, start=1):
        session.add(
            EditionItem(
                edition_id=edition.id,
                position=position,
                list_id=mailing_list.id,
                story_id=revision.story_id,
                revision_id=revision.id,
            )
        )
    carry(session, edition, digest.corrections)


def _news(session: Session, mailing_list: MailingList, now: datetime) -> Sequence[Revision]:
    """The stories about the list's topics that it has not had, newest first.

    Not a window between two editions: a story that was published just before one and committed
    just after would fall between them.
    """
    first_window = timedelta(days=1 if read_schedule(mailing_list.schedule).weekday is None else 7)
    had = select(EditionItem.story_id).where(EditionItem.list_id == mailing_list.id)
    return reading.not_among(
        session,
        had,
        since=max(mailing_list.news_from - first_window, now - REACH),
        most=MOST_STORIES,
        about=mailing_list.topics,
    )
