"""Changing a published story: each change is a revision that readers can look up, with its kind."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from nif.accounts.models import Account, RoleName
from nif.errors import Conflict, Invalid, NotAllowed
from nif.media.keeping import use_all
from nif.stories.comparing import changed, compare
from nif.stories.confirming import confirmation, get_current
from nif.stories.guarding import refusal, touched
from nif.stories.kinds import (
    LABELS,
    WITHOUT_CHANGE,
    ChangeKind,
    Severity,
    Standing,
    severity_of,
    standing_after,
)
from nif.stories.models import Revision, Story
from nif.stories.notes import Note, as_sentence, put_right, sentence_of
from nif.stories.parties import keep
from nif.stories.picturing import places_of
from nif.stories.publishing import freeze, hash_of, pass_gates, restock
from nif.stories.recording import write_down

LONGEST_SUMMARY = 200
LONGEST_NOTE = 1000
EMPTIED = {"dek": "", "lead": "", "sections": [], "block": [], "sources": [], "tags": []}
"""What a story says whose text law or safety forbids."""


@dataclass(frozen=True)
class NoteCopy:
    """A note as an editor gives it: of a correction what `was` wrong and what is right `now_`.

    `from_n` is the first revision that was wrong; `cause` is for the newsroom; `report_id` is the
    reader's report that it answers. Texts are single lines without space around them.
    """

    text: str = ""
    was: str = ""
    now_: str = ""
    severity: Severity | None = None
    cause: str = ""
    from_n: int = 1
    reported_by_reader: bool = False
    report_id: int | None = None


@dataclass(frozen=True)
class Change:
    """A change as an editor gives it. `seen` is the number of the revision and the count of
    savings that they saw."""

    kind: ChangeKind
    summary: str
    note: NoteCopy | None = None
    seen: tuple[int, int] | None = None


def revise(
    session: Session, story: Story, change: Change, *, by: Account, now: datetime
) -> Revision:
    """Freeze the working copy as the next revision and put it before readers.

    The caller has locked the story. Raises Invalid where a gate, the guard or the note is in the
    way, NotAllowed for a kind that is not theirs to use, and Conflict where nothing was changed or
    someone else was faster.
    """
    current = get_current(session, story)
    _expect(story, current, change)
    revision = freeze(session, story, by=by.id, now=now, before=current)
    is_same = revision.content_hash == current.content_hash
    if is_same and change.kind not in WITHOUT_CHANGE:
        raise Conflict("Nothing was changed: the story is as readers have it.")
    if problems := _problems(change, current):
        raise Invalid(problems)
    _expect_allowed(change, by)
    if not is_same and change.kind not in {ChangeKind.RETRACTION, ChangeKind.REMOVAL}:
        keep(session, story, pass_gates(session, story, now=now), now=now)
    if change.kind is ChangeKind.STYLE:
        _guard(session, story, current, revision, by)
    if change.kind is ChangeKind.REMOVAL:
        _empty(revision)
    return _put(session, story, current, revision, change, by)


def _expect(story: Story, current: Revision, change: Change) -> None:
    if current.standing is Standing.REMOVED:
        raise Conflict("This story was removed. Nothing more is published under its address.")
    if change.seen is not None and change.seen != (current.n, story.edits):
        raise Conflict("Someone else changed this story after you opened this page. Read it again.")


def _expect_allowed(change: Change, by: Account) -> None:
    """True but misleading is easily said of what is false: so clarifications are rare."""
    if change.kind is ChangeKind.CLARIFICATION and not by.may(RoleName.STANDARDS):
        raise NotAllowed("A standards editor or an admin decides whether it is a clarification.")


def _problems(change: Change, current: Revision) -> dict[str, str]:
    """What keeps a change from readers, by the field that it is about."""
    found = {}
    if change.kind is ChangeKind.PUBLISH:
        found["kind"] = "Say what kind of change this is."
    if not change.summary.strip():
        found["summary"] = "Say in a few words what changed: readers see it in the history."
    elif len(change.summary) > LONGEST_SUMMARY:
        found["summary"] = f"Make this shorter: {LONGEST_SUMMARY} characters are the most."
    if change.kind in LABELS:
        found |= dict(_note_problems(change.kind, change.note or NoteCopy(), current.n))
    return found


def _note_problems(kind: ChangeKind, note: NoteCopy, n: int) -> Iterator[tuple[str, str]]:
    is_correction = kind is ChangeKind.CORRECTION
    for name, missing in (ASKED_OF_CORRECTIONS if is_correction else ASKED_OF_NOTES).items():
        if not getattr(note, name):
            yield name, missing
    for name in ("text", "was", "now_", "cause"):
        if len(getattr(note, name)) > LONGEST_NOTE:
            yield name, f"Make this shorter: {LONGEST_NOTE:,} characters are the most."
    if not 1 <= note.from_n <= n:
        yield "from_n", "Choose the first version that was wrong."


ASKED_OF_CORRECTIONS = {
    "was": "Say what was wrong.",
    "now_": "Say what is right.",
    "severity": "Say how grave it was.",
}
ASKED_OF_NOTES = {"text": "Write the note that readers will see."}


def _guard(
    session: Session, story: Story, current: Revision, revision: Revision, by: Account
) -> None:
    """Raises Invalid where the change is more than style and nobody else confirmed that it is."""
    touches = touched(current, revision)
    if not touches:
        return
    confirmed = confirmation(session, story, besides=by.id)
    if confirmed is None or confirmed.at < current.published_at:
        raise Invalid({"kind": refusal(touches)})
    revision.confirmed_by = confirmed.by


def _empty(revision: Revision) -> None:
    names = ("slug", "story_type", "headline", "byline", "answers")
    kept = {name: getattr(revision, name) for name in names}
    for name, nothing in EMPTIED.items():
        setattr(revision, name, nothing)
    revision.words, revision.picture = 0, None
    revision.content_hash = hash_of({**kept, **EMPTIED})


def _put(
    session: Session,
    story: Story,
    current: Revision,
    revision: Revision,
    change: Change,
    by: Account,
) -> Revision:
    now = revision.published_at
    revision.kind, revision.summary = change.kind, " ".join(change.summary.split())
    revision.changed = changed(compare(current, revision))
    if change.kind is ChangeKind.STYLE:
        revision.modified_at = current.modified_at
    session.add(revision)
    session.flush()
    use_all(session, places_of(revision))
    if change.kind in LABELS:
        note = _note(story, change, revision, by)
        session.add(note)
        revision.standing = standing_after(current.standing, note.kind, note.severity)
    story.current_id, story.updated_at = revision.id, now
    session.flush()
    restock(session)
    write_down(session, revision)
    return revision


def _note(story: Story, change: Change, revision: Revision, by: Account) -> Note:
    copy, kind = change.note or NoteCopy(), change.kind
    is_correction = kind is ChangeKind.CORRECTION
    said = put_right(copy.was, copy.now_) if is_correction else as_sentence(copy.text)
    at = revision.published_at
    by_a_reader = copy.reported_by_reader or copy.report_id is not None
    return Note(
        story_id=story.id,
        kind=kind,
        severity=severity_of(kind, copy.severity),
        was=copy.was,
        now_=copy.now_,
        text=sentence_of(kind, said, by_a_reader=by_a_reader, now=at),
        cause=copy.cause,
        reported_by_reader=by_a_reader,
        report_id=copy.report_id,
        at=at,
        from_n=copy.from_n,
        to_n=revision.n,
        approved_by_id=by.id,
    )
