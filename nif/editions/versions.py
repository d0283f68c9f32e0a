"""Editions that are frozen again without a story, because of a serious note on it.

The newsroom withdraws what it retracts, removes or corrects as seriously wrong: nobody else is to
be mailed that revision. Subscribers who were mailed it before keep what they got, so each version
of the edition is kept.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, literal, select
from sqlalchemy.orm import Session

from nif.editions.correction_editions import list_carried_notes, load_note_in_context
from nif.editions.messages import freeze_edition, write_digest_message
from nif.editions.models import Edition, EditionItem, ReplacedMessage
from nif.editions.schedule import Slot
from nif.errors import Conflict
from nif.ledger.queries import find_footer_root
from nif.mail.message import MailWriter
from nif.stories.corrections import StoryNote
from nif.stories.models import ChangeKind, NoteSeverity, Revision

NOTHING_ELSE_LEFT = "Nothing else is left in this edition, so it can only be cancelled."

_WHAT_HAPPENED = {ChangeKind.RETRACTION: "was retracted", ChangeKind.REMOVAL: "was removed"}


@dataclass(frozen=True)
class WithdrawnStory:
    """A story that an edition still has, pinned to a revision that a serious note says was wrong.

    `note` is the newest such note; `headline` is that of the pinned revision.
    """

    story_id: int
    headline: str
    note: StoryNote

    def __str__(self) -> str:
        happened = _WHAT_HAPPENED.get(self.note.kind, "was seriously wrong and was corrected")
        return f"“{self.headline}” {happened}"


def has_withdrawn_story(edition_id: Any) -> ColumnElement[bool]:
    """True of an edition while a serious note says that a revision it still has was wrong."""
    return _select_withdrawn(select(literal(1)), edition_id).exists()


def list_withdrawn_stories(session: Session, edition_id: int) -> Sequence[WithdrawnStory]:
    """The stories that an edition still has and the newsroom has withdrawn, in their order."""
    columns = select(EditionItem.story_id, Revision.headline, StoryNote)
    query = _select_withdrawn(columns, edition_id)
    rows = session.execute(query.order_by(EditionItem.position, StoryNote.id)).all()
    return list({row.story_id: WithdrawnStory(*row) for row in rows}.values())


def _select_withdrawn(
    columns: Select[*tuple[Any, ...]], edition_id: Any
) -> Select[*tuple[Any, ...]]:
    return (
        columns.select_from(EditionItem)
        .join(Revision, Revision.id == EditionItem.revision_id)
        .join(StoryNote, StoryNote.story_id == EditionItem.story_id)
        .where(
            EditionItem.edition_id == edition_id,
            EditionItem.last_version.is_(None),
            StoryNote.severity == NoteSeverity.SERIOUS,
            Revision.n >= StoryNote.first_wrong_n,
            Revision.n < StoryNote.first_right_n,
        )
    )


def may_be_refrozen(
    session: Session, edition: Edition, withdrawn: Collection[WithdrawnStory]
) -> bool:
    """Is anything left in an edition without these stories?"""
    return bool(_other_stories(edition, withdrawn) or list_carried_notes(session, edition))


def _other_stories(edition: Edition, withdrawn: Collection[WithdrawnStory]) -> list[Revision]:
    without = {each.story_id for each in withdrawn}
    return [
        item.revision
        for item in edition.items
        if item.last_version is None and item.story_id not in without
    ]


def refreeze_edition(
    session: Session,
    edition: Edition,
    withdrawn: Collection[WithdrawnStory],
    mail_writer: MailWriter,
    *,
    was_mailed: bool,
    now: datetime,
) -> None:
    """Freeze an edition again without some stories. The message of before is kept.

    Where the edition was not mailed to anyone yet, the stories are new again for its list. Raises
    Conflict where nothing else is left in it. The caller has locked the edition.
    """
    stories = _other_stories(edition, withdrawn)
    corrections = [
        load_note_in_context(session, note) for note in list_carried_notes(session, edition)
    ]
    if not stories and not corrections:
        raise Conflict(NOTHING_ELSE_LEFT)
    message = write_digest_message(
        mail_writer,
        edition.mailing_list,
        Slot(edition.slot, edition.due_at),
        stories,
        find_footer_root(session),
        corrections,
    )
    replaced = ReplacedMessage(edition_id=edition.id, version=edition.version, replaced_at=now)
    replaced.message, replaced.content_hash = edition.message or {}, edition.content_hash or ""
    session.add(replaced)
    without = {each.story_id for each in withdrawn}
    for item in [item for item in edition.items if item.story_id in without]:
        if was_mailed:
            item.last_version = edition.version
        else:
            session.delete(item)
    edition.version += 1
    freeze_edition(edition, message)
    session.flush()
    session.expire(edition, ["items"])


def get_subject_of_version(session: Session, edition: Edition, version: int | None) -> str:
    """The subject of a version of an edition; of the current one for None."""
    message = edition.message or {}
    if version is not None and version < edition.version:
        replaced = session.get(ReplacedMessage, (edition.id, version))
        message = replaced.message if replaced else message
    return str(message.get("subject", ""))


def list_content_hashes(session: Session, edition: Edition) -> dict[int, str]:
    """The content hash of each version of an edition, by its number, oldest first."""
    query = select(ReplacedMessage.version, ReplacedMessage.content_hash).where(
        ReplacedMessage.edition_id == edition.id
    )
    replaced = session.execute(query.order_by(ReplacedMessage.version)).all()
    return {**dict(replaced), edition.version: edition.content_hash or ""}
