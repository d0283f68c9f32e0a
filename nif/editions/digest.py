"""Digests: editions that NIF composes from the stories published since the last one."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from nif.clock import LARGEST_SKEW
from nif.editions.correction_editions import (
    list_due_corrections,
    record_carried_notes,
    release_carried_notes,
)
from nif.editions.messages import freeze_edition, make_edition, write_digest_message
from nif.editions.models import (
    DIGEST_OCCASION,
    REPLACED_OCCASION_PREFIX,
    TAKEN_BACK_STATES,
    Edition,
    EditionItem,
    EditionState,
    ReplacedMessage,
)
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
CANNOT_BE_MADE_AGAIN = (
    "Only the list’s last digest can be made again, and only if nothing of it had left. "
    "Nothing was sent."
)
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


def reopen_slots(session: Session, mailing_list: MailingList, *, now: datetime) -> list[date]:
    """Forget what a clock that was ahead recorded of slots as missed or empty; returns their days.

    Those are slots that are still to come, and slots that can still be made up for. So each is made
    when its time comes, or at once. `now` must be right.
    """
    latest = now + LARGEST_SKEW
    is_still_to_come = Edition.due_at > latest
    can_be_made_up_for = (Edition.due_at >= now - CATCH_UP_TIME) & or_(
        Edition.state == EditionState.MISSED, Edition.made_at > latest
    )
    reopened = delete(Edition).where(
        Edition.list_id == mailing_list.id,
        Edition.slot >= (now - CATCH_UP_TIME).date() - timedelta(days=1),
        Edition.occasion == DIGEST_OCCASION,
        Edition.state.in_([EditionState.MISSED, EditionState.EMPTY]),
        or_(is_still_to_come, can_be_made_up_for),
    )
    return sorted(session.scalars(reopened.returning(Edition.slot)))


def make_digest_now(
    session: Session, mailing_list: MailingList, mail_writer: MailWriter, *, now: datetime
) -> Edition:
    """Make today's edition by hand, in place of the one that its slot would make.

    Raises Conflict where there is one today, there is nothing new, or the list is archived.
    """
    session.refresh(mailing_list, with_for_update=True)
    slot = slot_at(now, mailing_list.zone)
    edition = find_digest(session, mailing_list, slot.day)
    if edition is not None and edition.state is EditionState.FROZEN:
        raise Conflict(HAS_EDITION_TODAY)
    return _make_by_hand(session, mailing_list, slot, edition, mail_writer)


def make_digest_again(
    session: Session, edition: Edition, mail_writer: MailWriter, *, now: datetime
) -> Edition:
    """Make a digest again that was taken back, for the same slot, with what is new now.

    Raises Conflict where it is not the one that `find_digest_taken_back` finds, there is nothing
    new, or the list is archived.
    """
    mailing_list = edition.mailing_list
    session.refresh(mailing_list, with_for_update=True)
    session.refresh(edition)
    if find_digest_taken_back(session, mailing_list) is not edition:
        raise Conflict(CANNOT_BE_MADE_AGAIN)
    return _make_by_hand(session, mailing_list, Slot(edition.slot, now), edition, mail_writer)


def find_digest_taken_back(session: Session, mailing_list: MailingList) -> Edition | None:
    """The digest that a person may make again: taken back, and the list has mailed none since."""
    query = select(Edition).where(
        Edition.list_id == mailing_list.id,
        Edition.occasion == DIGEST_OCCASION,
        Edition.state.in_((EditionState.FROZEN, *TAKEN_BACK_STATES)),
    )
    last = session.scalar(query.order_by(Edition.slot.desc()).limit(1))
    return last if last is not None and last.state in TAKEN_BACK_STATES else None


def _make_by_hand(
    session: Session,
    mailing_list: MailingList,
    slot: Slot,
    edition: Edition | None,
    mail_writer: MailWriter,
) -> Edition:
    """Make the digest of a slot now. `edition` is the slot's own, which is not mailed."""
    now = slot.due_at
    if mailing_list.archived_at is not None:
        raise Conflict(LIST_IS_ARCHIVED)
    digest = compose_digest(session, mailing_list, slot, mail_writer, now=now)
    if digest.message is None:
        raise Conflict("There is nothing new to send.")
    if edition is not None and edition.message is not None:
        _give_up_slot(edition)
        session.flush()
        edition = None
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


def withdraw_edition(
    session: Session, edition: Edition, *, keep: bool = False, now: datetime
) -> None:
    """Withdraw an edition that was not mailed: its stories are new again.

    The slot of a digest that is still in the future makes its own, as if this one had never been
    made. The correction of a correction edition goes into the list's next digest. With `keep` the
    edition stays, for the page of its send.
    """
    _release_contents(session, edition)
    edition.state = EditionState.WITHDRAWN
    next_slot = next_slot_of_list(edition.mailing_list, now=now)
    is_ahead = edition.occasion == DIGEST_OCCASION and next_slot.day <= edition.slot
    if keep and is_ahead:
        _give_up_slot(edition)
    elif is_ahead:
        session.delete(edition)
    elif not keep:
        edition.message, edition.content_hash = None, None


def cancel_edition(session: Session, edition: Edition) -> None:
    """Cancel an edition of which nothing left: its stories and corrections are new again.

    The edition stays, for the page of its send, and its slot stays cancelled until a person makes
    its digest again.
    """
    _release_contents(session, edition)
    edition.state = EditionState.CANCELLED


def _release_contents(session: Session, edition: Edition) -> None:
    for model in (EditionItem, ReplacedMessage):
        session.execute(delete(model).where(model.edition_id == edition.id))
    edition.version = 1
    release_carried_notes(session, edition)
    session.expire(edition, ["items"])


def _give_up_slot(edition: Edition) -> None:
    edition.occasion = f"{REPLACED_OCCASION_PREFIX}{edition.id}"


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
