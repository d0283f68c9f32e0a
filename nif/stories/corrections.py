"""Changing a published story: each change is a revision that readers can look up, with its kind.

A note on a published story: what was wrong and what is right, in a sentence for readers.

A second person finds that a change to what readers have is style, and nothing more.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ForeignKey, Index, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from nif.accounts.models import Account, RoleName
from nif.database import Base, BigId
from nif.errors import Conflict, Invalid, NotAllowed
from nif.media.library import count_picture_uses
from nif.stories.autosave import has_typed_since
from nif.stories.diff import compare_revisions, count_changed_characters
from nif.stories.ledger_entries import append_revision_to_ledger
from nif.stories.models import (
    KINDS_WITHOUT_TEXT_CHANGE,
    NOTE_LABELS,
    ChangeKind,
    NotePlacement,
    NoteSeverity,
    Review,
    ReviewVerdict,
    Revision,
    Story,
    StoryStanding,
    note_placement_of,
    note_severity_of,
    standing_after,
)
from nif.stories.parties import save_story_parties
from nif.stories.pictures import count_revision_pictures
from nif.stories.publishing import (
    freeze_revision,
    hash_revision_content,
    invalidate_pages,
    require_checks_passed,
)
from nif.stories.reader_reports import ReaderReport
from nif.stories.style_edit_guard import explain_style_refusal, list_protected_changes

_HEADING_END = " UTC: "


class StoryNote(Base):
    """`text` is the whole sentence as readers have it.

    The revisions from `from_n` up to `to_n`, which is the first one that is right and is not one of
    them, said what was wrong. `report_id` is the reader's report that led to it, where one did.
    """

    __tablename__ = "note"
    __table_args__ = (
        Index("ix_note_newest", "at", "id"),
        Index("ix_note_story_id", "story_id", "to_n"),
        Index("ix_note_severity", "severity", "at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    story_id: Mapped[int] = mapped_column(ForeignKey(Story.id))
    kind: Mapped[ChangeKind]
    severity: Mapped[NoteSeverity]
    incorrect_text: Mapped[str] = mapped_column(default="")
    corrected_text: Mapped[str] = mapped_column(default="")
    text: Mapped[str]
    cause: Mapped[str] = mapped_column(default="")
    reported_by_reader: Mapped[bool] = mapped_column(default=False)
    report_id: Mapped[int | None] = mapped_column(ForeignKey(ReaderReport.id))
    at: Mapped[datetime]
    from_n: Mapped[int]
    to_n: Mapped[int]
    approved_by_id: Mapped[int | None] = mapped_column(ForeignKey(Account.id))

    story: Mapped[Story] = relationship()

    @property
    def place(self) -> NotePlacement:
        return note_placement_of(self.kind, self.severity)

    @property
    def label(self) -> str:
        return NOTE_LABELS[self.kind]

    @property
    def heading(self) -> str:
        """The label and the moment, with which the text begins."""
        return f"{self.text.partition(_HEADING_END)[0]} UTC"

    @property
    def sentence(self) -> str:
        """The text behind its heading."""
        return self.text.partition(_HEADING_END)[2]


def format_note_text(kind: ChangeKind, said: str, *, by_a_reader: bool, now: datetime) -> str:
    """What readers are told: the label, which cannot be softened, the moment in UTC, the words."""
    moment = now.astimezone(UTC)
    when = f"{moment.day} {moment:%B %Y, %H:%M} UTC"
    told = " Reported by a reader." if by_a_reader else ""
    return f"{NOTE_LABELS[kind]}, {when}: {said}{told}"


def format_correction(incorrect_text: str, corrected_text: str) -> str:
    """What was wrong and what is right: one without the other is no correction."""
    wrong = incorrect_text.rstrip(" .")
    return f"An earlier version of this story said {wrong}. {format_sentence(corrected_text)}"


def format_sentence(text: str) -> str:
    """The words as a sentence: with a capital letter and an end."""
    text = text.strip()
    ended = text if text[-1:] in {".", "!", "?", "”"} else f"{text}."
    return f"{ended[:1].upper()}{ended[1:]}"


def get_current_revision(session: Session, story: Story) -> Revision:
    """The revision that readers see. Raises Conflict for a story that is not published."""
    revision = session.get(Revision, story.current_id) if story.current_id else None
    if revision is None:
        raise Conflict("This story is not published yet: it has no revision to follow.")
    return revision


def confirm_style_edit(session: Session, story: Story, *, by: Account, now: datetime) -> None:
    """A second person finds that the change, as it is saved now, is style. Readers are told.

    Raises NotAllowed for who had a hand in the change.
    """
    if not may_confirm_style_edit(session, story, by=by.id):
        raise NotAllowed("You had a hand in this change: someone else has to confirm it.")
    session.add(
        Review(
            story_id=story.id,
            edits=story.edits,
            verdict=ReviewVerdict.CONFIRMED,
            by_id=by.id,
            by=by.name,
            at=now,
        )
    )


def may_confirm_style_edit(session: Session, story: Story, *, by: int) -> bool:
    """Is this a second person: one who typed nothing since readers got what they have?"""
    current = get_current_revision(session, story)
    return not has_typed_since(session, story.id, by, current.published_at)


def find_style_confirmation(session: Session, story: Story, *, besides: int) -> Review | None:
    """Who, other than `besides`, confirmed that what is saved now is style."""
    return session.scalar(
        select(Review)
        .where(
            Review.story_id == story.id,
            Review.verdict == ReviewVerdict.CONFIRMED,
            Review.edits == story.edits,
            Review.by_id != besides,
        )
        .order_by(Review.id.desc())
        .limit(1)
    )


LONGEST_SUMMARY = 200
LONGEST_NOTE = 1000
REMOVED_CONTENT = {"dek": "", "lead": "", "sections": [], "block": [], "sources": [], "tags": []}
"""What a story says whose text law or safety forbids."""


@dataclass(frozen=True)
class NoteInput:
    """A note as an editor enters it; `incorrect_text` and `corrected_text` are for corrections.

    `from_n` is the first revision that was wrong; `cause` is for the newsroom; `report_id` is the
    reader's report that it answers. Texts are single lines without space around them.
    """

    text: str = ""
    incorrect_text: str = ""
    corrected_text: str = ""
    severity: NoteSeverity | None = None
    cause: str = ""
    from_n: int = 1
    reported_by_reader: bool = False
    report_id: int | None = None


@dataclass(frozen=True)
class StoryChange:
    """A change as an editor gives it. `seen` is the number of the revision and the count of
    savings that they saw."""

    kind: ChangeKind
    summary: str
    note: NoteInput | None = None
    seen: tuple[int, int] | None = None


def revise_story(
    session: Session, story: Story, change: StoryChange, *, by: Account, now: datetime
) -> Revision:
    """Freeze the working copy as the next revision and put it before readers.

    The caller has locked the story. Raises Invalid where a gate, the guard or the note is in the
    way, NotAllowed for a kind that is not theirs to use, and Conflict where nothing was changed or
    someone else was faster.
    """
    current = get_current_revision(session, story)
    _require_unchanged_since_seen(story, current, change)
    revision = freeze_revision(session, story, by=by.id, now=now, before=current)
    is_same = revision.content_hash == current.content_hash
    if is_same and change.kind not in KINDS_WITHOUT_TEXT_CHANGE:
        raise Conflict("Nothing was changed: the story is as readers have it.")
    if problems := _change_problems(change, current):
        raise Invalid(problems)
    _require_permission(change, by)
    if not is_same and change.kind not in {ChangeKind.RETRACTION, ChangeKind.REMOVAL}:
        save_story_parties(session, story, require_checks_passed(session, story, now=now), now=now)
    if change.kind is ChangeKind.STYLE:
        _guard_style_edit(session, story, current, revision, by)
    if change.kind is ChangeKind.REMOVAL:
        _remove_content(revision)
    return _publish_revision(session, story, current, revision, change, by)


def _require_unchanged_since_seen(story: Story, current: Revision, change: StoryChange) -> None:
    if current.standing is StoryStanding.REMOVED:
        raise Conflict("This story was removed. Nothing more is published under its address.")
    if change.seen is not None and change.seen != (current.n, story.edits):
        raise Conflict("Someone else changed this story after you opened this page. Read it again.")


def _require_permission(change: StoryChange, by: Account) -> None:
    """True but misleading is easily said of what is false: so clarifications are rare."""
    if change.kind is ChangeKind.CLARIFICATION and not by.may(RoleName.STANDARDS):
        raise NotAllowed("A standards editor or an admin decides whether it is a clarification.")


def _change_problems(change: StoryChange, current: Revision) -> dict[str, str]:
    """What keeps a change from readers, by the field that it is about."""
    found = {}
    if change.kind is ChangeKind.PUBLISH:
        found["kind"] = "Say what kind of change this is."
    if not change.summary.strip():
        found["summary"] = "Say in a few words what changed: readers see it in the history."
    elif len(change.summary) > LONGEST_SUMMARY:
        found["summary"] = f"Make this shorter: {LONGEST_SUMMARY} characters are the most."
    if change.kind in NOTE_LABELS:
        found |= dict(_note_problems(change.kind, change.note or NoteInput(), current.n))
    return found


def _note_problems(kind: ChangeKind, note: NoteInput, n: int) -> Iterator[tuple[str, str]]:
    is_correction = kind is ChangeKind.CORRECTION
    for name, missing in (REQUIRED_OF_CORRECTIONS if is_correction else REQUIRED_OF_NOTES).items():
        if not getattr(note, name):
            yield name, missing
    for name in ("text", "incorrect_text", "corrected_text", "cause"):
        if len(getattr(note, name)) > LONGEST_NOTE:
            yield name, f"Make this shorter: {LONGEST_NOTE:,} characters are the most."
    if not 1 <= note.from_n <= n:
        yield "from_n", "Choose the first version that was wrong."


REQUIRED_OF_CORRECTIONS = {
    "incorrect_text": "Say what was wrong.",
    "corrected_text": "Say what is right.",
    "severity": "Say how grave it was.",
}
REQUIRED_OF_NOTES = {"text": "Write the note that readers will see."}


def _guard_style_edit(
    session: Session, story: Story, current: Revision, revision: Revision, by: Account
) -> None:
    """Raises Invalid where the change is more than style and nobody else confirmed that it is."""
    touches = list_protected_changes(current, revision)
    if not touches:
        return
    confirmed = find_style_confirmation(session, story, besides=by.id)
    if confirmed is None or confirmed.at < current.published_at:
        raise Invalid({"kind": explain_style_refusal(touches)})
    revision.confirmed_by = confirmed.by


def _remove_content(revision: Revision) -> None:
    names = ("slug", "story_type", "headline", "byline", "answers")
    kept = {name: getattr(revision, name) for name in names}
    for name, nothing in REMOVED_CONTENT.items():
        setattr(revision, name, nothing)
    revision.words, revision.picture = 0, None
    revision.content_hash = hash_revision_content({**kept, **REMOVED_CONTENT})


def _publish_revision(
    session: Session,
    story: Story,
    current: Revision,
    revision: Revision,
    change: StoryChange,
    by: Account,
) -> Revision:
    now = revision.published_at
    revision.kind, revision.summary = change.kind, " ".join(change.summary.split())
    revision.changed_characters = count_changed_characters(compare_revisions(current, revision))
    if change.kind is ChangeKind.STYLE:
        revision.modified_at = current.modified_at
    session.add(revision)
    session.flush()
    count_picture_uses(session, count_revision_pictures(revision))
    if change.kind in NOTE_LABELS:
        note = _build_note(story, change, revision, by)
        session.add(note)
        revision.standing = standing_after(current.standing, note.kind, note.severity)
    story.current_id, story.updated_at = revision.id, now
    session.flush()
    invalidate_pages(session)
    append_revision_to_ledger(session, story, revision)
    return revision


def _build_note(story: Story, change: StoryChange, revision: Revision, by: Account) -> StoryNote:
    copy, kind = change.note or NoteInput(), change.kind
    is_correction = kind is ChangeKind.CORRECTION
    said = (
        format_correction(copy.incorrect_text, copy.corrected_text)
        if is_correction
        else format_sentence(copy.text)
    )
    at = revision.published_at
    by_a_reader = copy.reported_by_reader or copy.report_id is not None
    return StoryNote(
        story_id=story.id,
        kind=kind,
        severity=note_severity_of(kind, copy.severity),
        incorrect_text=copy.incorrect_text,
        corrected_text=copy.corrected_text,
        text=format_note_text(kind, said, by_a_reader=by_a_reader, now=at),
        cause=copy.cause,
        reported_by_reader=by_a_reader,
        report_id=copy.report_id,
        at=at,
        from_n=copy.from_n,
        to_n=revision.n,
        approved_by_id=by.id,
    )
