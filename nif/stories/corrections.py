"""Changes to a published story. Each one is a new revision, of a kind, in the public history.

All kinds but style come with a note for readers. A change of style that touches protected text
needs the confirmation of a second person.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ForeignKey, Index, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from nif.accounts.models import Account, RoleName
from nif.database import Base, BigId
from nif.errors import Conflict, Invalid, NotAllowed
from nif.stories.diff import (
    compare_revisions,
    count_changed_characters,
    explain_style_refusal,
    list_protected_changes,
)
from nif.stories.drafts import has_typed_since
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
    note_severity_of,
    standing_after,
)
from nif.stories.publishing import (
    COPIED_CONTENT,
    freeze_revision,
    hash_revision_content,
    make_revision_current,
    record_review,
    require_checks_passed,
)
from nif.stories.reader_reports import ReaderReport
from nif.stories.records import look_up_story_records, save_story_parties

LONGEST_SUMMARY = 200

LONGEST_NOTE = 1000

REQUIRED_OF_CORRECTIONS = {
    "incorrect_text": "Say what was wrong.",
    "corrected_text": "Say what is right.",
    "severity": "Say how serious it was.",
}

REMOVED_CONTENT = {"dek": "", "lead": "", "sections": [], "block": [], "sources": [], "tags": []}
"""The content of a story that was removed for legal or safety reasons."""

_HEADING_END = " UTC: "


class StoryNote(Base):
    """A note on a published story, such as a correction.

    `text` is the whole note as readers see it. Revisions from `first_wrong_n` up to, but not
    including, `first_right_n` had the error. `cause` is for the newsroom only. `report_id` is the
    reader's report that led to the note.
    """

    __tablename__ = "note"
    __table_args__ = (
        Index("ix_note_newest", "at", "id"),
        Index("ix_note_story_id", "story_id", "first_right_n"),
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
    first_wrong_n: Mapped[int]
    first_right_n: Mapped[int]
    approved_by_id: Mapped[int | None] = mapped_column(ForeignKey(Account.id))

    story: Mapped[Story] = relationship()

    @property
    def placement(self) -> NotePlacement:
        """By severity, but a minor update stands beside the date."""
        if self.severity is not NoteSeverity.MINOR:
            return NotePlacement.TOP
        return NotePlacement.DATELINE if self.kind is ChangeKind.UPDATE else NotePlacement.FOOT

    @property
    def label(self) -> str:
        return NOTE_LABELS[self.kind]

    @property
    def heading(self) -> str:
        """The label and the moment at the beginning of the text."""
        return f"{self.text.partition(_HEADING_END)[0]} UTC"

    @property
    def sentence(self) -> str:
        """The text after its heading."""
        return self.text.partition(_HEADING_END)[2]


@dataclass(frozen=True)
class NoteInput:
    """A note as an editor enters it.

    A correction has `incorrect_text` and `corrected_text`, other notes have `text`.
    `first_wrong_n` is the first revision with the error, `cause` is for the newsroom only,
    `report_id` the reader's report that led to the note. Texts are single lines without
    surrounding space.
    """

    text: str = ""
    incorrect_text: str = ""
    corrected_text: str = ""
    severity: NoteSeverity | None = None
    cause: str = ""
    first_wrong_n: int = 1
    reported_by_reader: bool = False
    report_id: int | None = None


@dataclass(frozen=True)
class StoryChange:
    """A change to a published story as an editor enters it.

    `seen` is the number of the current revision and the story's count of saves when the editor
    opened the page.
    """

    kind: ChangeKind
    summary: str
    note: NoteInput | None = None
    seen: tuple[int, int] | None = None


def revise_story(
    session: Session, story: Story, change: StoryChange, *, by: Account, now: datetime
) -> Revision:
    """Publish the working copy as the story's next revision. The caller has locked the story.

    Raises Invalid for a failed check, a change that is more than style, or an incomplete note;
    NotAllowed for a clarification by an author or editor; Conflict where nothing was changed,
    someone else changed the story since, or it is not published or was removed.
    """
    current = get_current_revision(session, story)
    _require_unchanged_since_seen(story, current, change)
    records = look_up_story_records(session, story, story_id=story.id, now=now)
    revision = freeze_revision(session, story, by=by.id, now=now, before=current, records=records)
    is_same = revision.content_hash == current.content_hash
    if is_same and change.kind not in KINDS_WITHOUT_TEXT_CHANGE:
        raise Conflict("Nothing was changed: the story is the same as its published version.")
    if problems := _change_problems(change, current):
        raise Invalid(problems)
    # It is tempting to call an error "true but misleading", so clarifications need more rights.
    if change.kind is ChangeKind.CLARIFICATION and not by.may(RoleName.STANDARDS):
        raise NotAllowed("A standards editor or an admin decides whether it is a clarification.")
    if not is_same and change.kind not in {ChangeKind.RETRACTION, ChangeKind.REMOVAL}:
        require_checks_passed(session, records)
        save_story_parties(session, records, now=now)
    if change.kind is ChangeKind.STYLE:
        _guard_style_edit(session, story, current, revision, by)
    if change.kind is ChangeKind.REMOVAL:
        _remove_content(revision)
    return _publish_revision(session, story, current, revision, change, by)


def _require_unchanged_since_seen(story: Story, current: Revision, change: StoryChange) -> None:
    if current.standing is StoryStanding.REMOVED:
        raise Conflict("This story was removed. Nothing more is published under its address.")
    if change.seen is not None and change.seen != (current.n, story.edits):
        raise Conflict(
            "Someone else changed this story after you opened this page. Review it again."
        )


def _change_problems(change: StoryChange, current: Revision) -> dict[str, str]:
    """What is wrong with a change, by form field."""
    problems = {}
    if change.kind is ChangeKind.PUBLISH:
        problems["kind"] = "Say what kind of change this is."
    if not change.summary.strip():
        problems["summary"] = "Say in a few words what changed: readers see it in the history."
    elif len(change.summary) > LONGEST_SUMMARY:
        problems["summary"] = f"Use at most {LONGEST_SUMMARY} characters."
    if change.kind in NOTE_LABELS:
        problems |= dict(_note_problems(change.kind, change.note or NoteInput(), current.n))
    return problems


def _note_problems(kind: ChangeKind, note: NoteInput, current_n: int) -> Iterator[tuple[str, str]]:
    required = {"text": "Write the note that readers will see."}
    if kind is ChangeKind.CORRECTION:
        required = REQUIRED_OF_CORRECTIONS
    for name, message in required.items():
        if not getattr(note, name):
            yield name, message
    for name in ("text", "incorrect_text", "corrected_text", "cause"):
        if len(getattr(note, name)) > LONGEST_NOTE:
            yield name, f"Use at most {LONGEST_NOTE:,} characters."
    if not 1 <= note.first_wrong_n <= current_n:
        yield "first_wrong_n", "Choose the first version that was wrong."


def _guard_style_edit(
    session: Session, story: Story, current: Revision, revision: Revision, by: Account
) -> None:
    """Raises Invalid where a change is more than style and nobody else confirmed it as style."""
    changes = list_protected_changes(current, revision)
    if not changes:
        return
    confirmation = find_style_confirmation(session, story, excluding=by.id)
    if confirmation is None or confirmation.at < current.published_at:
        raise Invalid({"kind": explain_style_refusal(changes)})
    revision.confirmed_by = confirmation.by


def _remove_content(revision: Revision) -> None:
    for name, empty in REMOVED_CONTENT.items():
        setattr(revision, name, empty)
    revision.word_count, revision.picture = 0, None
    kept = {name: getattr(revision, name) for name in COPIED_CONTENT}
    revision.content_hash = hash_revision_content(kept | REMOVED_CONTENT)


def _publish_revision(
    session: Session,
    story: Story,
    current: Revision,
    revision: Revision,
    change: StoryChange,
    by: Account,
) -> Revision:
    revision.kind, revision.summary = change.kind, " ".join(change.summary.split())
    revision.changed_characters = count_changed_characters(compare_revisions(current, revision))
    if change.kind is ChangeKind.STYLE:
        revision.modified_at = current.modified_at
    if change.kind in NOTE_LABELS:
        note = _build_note(story, change, revision, by)
        session.add(note)
        revision.standing = standing_after(current.standing, note.kind, note.severity)
    make_revision_current(session, story, revision)
    return revision


def _build_note(story: Story, change: StoryChange, revision: Revision, by: Account) -> StoryNote:
    """Its text: the label, which nobody can change, the moment in UTC, and the sentences."""
    note, kind = change.note or NoteInput(), change.kind
    sentence = format_sentence(note.text)
    if kind is ChangeKind.CORRECTION:
        # Always both what was wrong and what is right.
        wrong = note.incorrect_text.rstrip(" .")
        right = format_sentence(note.corrected_text)
        sentence = f"An earlier version of this story said {wrong}. {right}"
    if by_a_reader := note.reported_by_reader or note.report_id is not None:
        sentence += " Reported by a reader."
    moment = revision.published_at.astimezone(UTC)
    text = f"{NOTE_LABELS[kind]}, {moment.day} {moment:%B %Y, %H:%M}{_HEADING_END}{sentence}"
    story_note = StoryNote(**vars(note), story_id=story.id, kind=kind, first_right_n=revision.n)
    story_note.severity, story_note.text = note_severity_of(kind, note.severity), text
    story_note.reported_by_reader = by_a_reader
    story_note.at, story_note.approved_by_id = revision.published_at, by.id
    return story_note


def get_current_revision(session: Session, story: Story) -> Revision:
    """The revision that readers see. Raises Conflict for a story that is not published."""
    revision = session.get(Revision, story.current_id) if story.current_id else None
    if revision is None:
        raise Conflict("This story is not published yet, so it cannot have a new version.")
    return revision


def confirm_style_edit(session: Session, story: Story, *, by: Account, now: datetime) -> None:
    """Record a second person's confirmation that the change, as saved now, is only style.

    Readers see the confirmation in the history. Raises NotAllowed for an editor who took part in
    the change.
    """
    if not may_confirm_style_edit(session, story, by=by.id):
        raise NotAllowed("You took part in this change, so someone else has to confirm it.")
    record_review(session, story, ReviewVerdict.CONFIRMED, by=by, now=now)


def may_confirm_style_edit(session: Session, story: Story, *, by: int) -> bool:
    """True for an account that typed nothing since the current revision was published."""
    current = get_current_revision(session, story)
    return not has_typed_since(session, story.id, by, current.published_at)


def find_style_confirmation(session: Session, story: Story, *, excluding: int) -> Review | None:
    """The confirmation that what is saved now is style, by an account other than `excluding`."""
    query = select(Review).where(
        Review.story_id == story.id,
        Review.verdict == ReviewVerdict.CONFIRMED,
        Review.edits == story.edits,
        Review.by_id != excluding,
    )
    return session.scalar(query.order_by(Review.id.desc()).limit(1))


def format_sentence(text: str) -> str:
    """`text` as a sentence: its first character in upper case, and a full stop at the end."""
    text = text.strip()
    sentence = text if text[-1:] in {".", "!", "?", "”"} else f"{text}."
    return f"{sentence[:1].upper()}{sentence[1:]}"
