"""Publishing: the checks that a story must pass, the revision that readers then see, what the
ledger records about it, and the review by a second person, now or for a set time.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from nif.accounts.models import Account
from nif.database import add_counts
from nif.errors import Conflict, Invalid
from nif.ledger.chain import PublishedEntry, append_entry, delete_entry_payload
from nif.ledger.models import LedgerEntry, LedgerEntryKind
from nif.ledger.payloads import PayloadForms
from nif.ledger.queries import LiveRecord
from nif.media.library import count_picture_uses
from nif.media.models import Picture, snapshot_picture
from nif.slugs import make_slug_unique, slugify
from nif.stories.checks import (
    blocking_findings_of,
    list_overridden_codes,
    run_checks,
    sentences_by_field,
)
from nif.stories.models import (
    ChangeKind,
    PageVersion,
    Review,
    ReviewVerdict,
    Revision,
    Story,
    StorySource,
    StoryStanding,
    StoryState,
    picture_records_of,
)
from nif.stories.records import StoryRecords, look_up_story_records, save_story_parties
from nif.stories.text import count_words, split_source_references
from nif.stories.transparency_block import build_transparency_block


def publish_story(session: Session, story: Story, *, by: int | None, now: datetime) -> Revision:
    """Publish a draft: create its first revision and make it current.

    Raises Invalid where a check fails, Conflict where the story is published already.
    """
    if story.state is StoryState.PUBLISHED:
        raise Conflict("This story is published already.")
    records = look_up_story_records(session, story, story_id=story.id, now=now)
    require_checks_passed(session, records)
    save_story_parties(session, records, now=now)
    revision = freeze_revision(session, story, by=by, now=now, records=records)
    story.state, story.first_published_at, story.publish_at = StoryState.PUBLISHED, now, None
    # An editor who still has the draft open gets a conflict on saving, and learns of it.
    story.edits += 1
    make_revision_current(session, story, revision)
    return revision


def make_revision_current(session: Session, story: Story, revision: Revision) -> None:
    """Store a revision as the one that readers see, and in the ledger: the last step."""
    session.add(revision)
    session.flush()
    uses = Counter(record["id"] for record in picture_records_of(revision))
    count_picture_uses(session, uses)
    story.current_id, story.updated_at = revision.id, revision.published_at
    session.flush()
    invalidate_pages(session)
    append_revision_to_ledger(session, story, revision)


def require_checks_passed(session: Session, records: StoryRecords) -> None:
    """Raises Invalid, by form field, where a check fails that was not overridden."""
    overridden = list_overridden_codes(session, records.story)
    if blocking := blocking_findings_of(run_checks(records), overridden):
        raise Invalid(sentences_by_field(blocking))


COPIED_CONTENT = ("slug", "story_type", "headline", "dek", "lead", "byline", "answers")
"""The content that a revision takes from its working copy as it is."""

PAGE_VERSION = select(PageVersion.version).where(PageVersion.id == 1)
"""Selects the version of the public pages; no row before the first change."""


def invalidate_pages(session: Session) -> None:
    """Invalidate every cached public page: something changed that readers can see."""
    add_counts(session, PageVersion, [{"id": 1, "version": 1}])


def freeze_revision(
    session: Session,
    story: Story,
    *,
    by: int | None,
    now: datetime,
    before: Revision | None = None,
    records: StoryRecords | None = None,
) -> Revision:
    """Build the revision of a working copy. It is not added to the session.

    `before` is the revision that it follows. Whether one person wrote and edited the story is
    taken over from there. `records` are looked up where they are not given. Pictures without a
    file are left out; the checks stop such a story.
    """
    same_person = by is not None and by == story.author_id
    if before is not None:
        same_person = any(sentence["kind"] == "same_person" for sentence in before.block)
    records = records or look_up_story_records(session, story, story_id=story.id, now=now)
    pictures = records.pictures
    sentences = build_transparency_block(
        story,
        same_person=same_person,
        register_sentences=records.disclosures.sentences,
        pictures=pictures.values(),
    )
    content: dict[str, Any] = {
        **{name: getattr(story, name) for name in COPIED_CONTENT},
        "sections": _anchor_sections(story.sections, pictures),
        "block": [asdict(sentence) for sentence in sentences],
        "sources": [_public_source_record(source) for source in story.sources],
        "tags": sorted([tag.slug, tag.name] for tag in story.tags),
    }
    if lead := _find_picture_record(pictures, story.picture_id):
        # Only where there is one, so that hashes of stories without pictures do not change.
        content["picture"] = lead
    return Revision(
        story_id=story.id,
        n=before.n + 1 if before else 1,
        word_count=count_words(story.lead, story.sections),
        published_at=now,
        first_published_at=before.first_published_at if before else now,
        published_by_id=by,
        content_hash=hash_revision_content(content),
        kind=ChangeKind.PUBLISH,
        standing=before.standing if before else StoryStanding.SOUND,
        modified_at=now,
        **content,
    )


def hash_revision_content(content: Mapping[str, Any]) -> str:
    """SHA-256 over the content of a revision, without its moments."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _anchor_sections(sections: list[Any], pictures: Mapping[int, Picture]) -> list[dict[str, Any]]:
    """The sections of a revision, with a unique anchor for each section and each bullet.

    Such as `why-it-matters`, `why-it-matters-2`, and `why-it-matters-b1` for a bullet.
    """
    taken: set[str] = set()
    anchored: list[dict[str, Any]] = []
    for section in sections:
        anchor = make_slug_unique(slugify(section["label"]), taken)
        taken.add(anchor)
        bullets = []
        for n, text in enumerate(section["bullets"], start=1):
            bullet_anchor = make_slug_unique(f"{anchor}-b{n}", taken)
            taken.add(bullet_anchor)
            line, sources = split_source_references(text)
            bullets.append({"anchor": bullet_anchor, "text": line, "sources": sources})
        record = {"anchor": anchor, "label": section["label"], "bullets": bullets}
        if picture := _find_picture_record(pictures, section.get("picture")):
            record["picture"] = picture
        anchored.append(record)
    return anchored


def _find_picture_record(
    pictures: Mapping[int, Picture], picture_id: int | None
) -> dict[str, Any] | None:
    """The snapshot of a picture; None without a picture or without a file of it."""
    picture = pictures.get(picture_id or 0)
    return snapshot_picture(picture) if picture is not None and picture.ready_set else None


def _public_source_record(source: StorySource) -> dict[str, Any]:
    """The public record of a source, without what could identify an unnamed one."""
    names = ("kind", "publisher", "title", "url", "taken", "seen_by_us", "relied_on", "checked")
    record = {name: getattr(source, name) for name in names}
    if source.is_unnamed:
        record |= {"title": "", "url": "", "unnamed_because": source.unnamed_because}
    return record


def backdate_story(session: Session, story: Story, *, moment: datetime) -> None:
    """Set the moment of publication of a published story: for imported archives and the demo."""
    story.first_published_at = story.updated_at = moment
    session.execute(
        update(Revision)
        .where(Revision.id == story.current_id)
        .values(published_at=moment, first_published_at=moment, modified_at=moment)
    )


def _build_form_1(revision: Revision) -> dict[str, Any]:
    """All that readers saw, and no account's id: answers are signed by name.

    `picture` is there only where the revision has one.
    """
    texts = ("headline", "dek", "lead", "byline", "slug", "n", "summary", "content_hash")
    lists = ("sections", "block", "sources", "tags")
    return {
        **{name: getattr(revision, name) for name in (*texts, *lists)},
        "story_type": revision.story_type.value,
        "kind": revision.kind.value,
        "answers": {
            question: {name: value for name, value in answer.items() if name != "by_id"}
            for question, answer in revision.answers.items()
        },
        **({"picture": revision.picture} if revision.picture else {}),
    }


REVISION_FORMS = PayloadForms[Revision]({1: _build_form_1})


def append_revision_to_ledger(session: Session, story: Story, revision: Revision) -> None:
    """Append a revision to the ledger, as the last thing in its transaction.

    A removal deletes the payloads of the story's earlier revisions, because everybody can read
    them; the chain stays whole.
    """
    if revision.kind is ChangeKind.REMOVAL:
        query = select(LedgerEntry.seq).where(
            LedgerEntry.story == story.ledger_id, LedgerEntry.revision.is_not(None)
        )
        for seq in session.scalars(query).all():
            delete_entry_payload(session, seq)
    append_entry(
        session,
        LedgerEntryKind(revision.kind.value),
        REVISION_FORMS.write(revision),
        story=story.ledger_id,
        revision=revision.n,
        now=revision.published_at,
    )


def map_slugs_by_ledger_id(session: Session, ledger_ids: Collection[str]) -> dict[str, str]:
    """The slugs of stories by the ids that the ledger names them by; unknown ids are left out."""
    query = select(Story.ledger_id, Story.slug).where(Story.ledger_id.in_(ledger_ids))
    return {row.ledger_id: row.slug for row in session.execute(query)}


def list_live_revisions(
    session: Session, entries: Sequence[PublishedEntry]
) -> Iterator[LiveRecord]:
    """For entries about revisions: what the live row says, or that it is gone.

    Each revision is recomputed in the form of its own entry, so a field that the payload gained
    later accuses nobody.
    """
    about = {(entry.story, entry.revision): entry for entry in entries if entry.revision}
    query = select(Story.ledger_id, Revision).join(Story, Story.id == Revision.story_id)
    query = query.where(Story.ledger_id.in_({ledger_id for ledger_id, _ in about}))
    rows = session.execute(query) if about else ()
    live: dict[Any, Revision] = {(ledger_id, revision.n): revision for ledger_id, revision in rows}
    for key, entry in about.items():
        revision = live.get(key)
        yield entry.seq, REVISION_FORMS.recompute(revision, entry.payload) if revision else None


UNAPPROVED_STATES = (StoryState.DRAFT, StoryState.IN_REVIEW)


def request_review(session: Session, story: Story, *, by: Account, now: datetime) -> bool:
    """Put a draft into review. Returns False where it is in review already.

    Raises Conflict where it is scheduled or published.
    """
    if story.state is StoryState.IN_REVIEW:
        return False
    _require_state(story, (StoryState.DRAFT,))
    story.state = StoryState.IN_REVIEW
    record_review(session, story, ReviewVerdict.REQUESTED, by=by, now=now)
    return True


def send_back_story(
    session: Session, story: Story, remark: str, *, by: Account, now: datetime
) -> None:
    """Return a story to its author with a remark.

    Raises Invalid without a remark, Conflict where the story is neither in review nor scheduled.
    """
    _require_state(story, (StoryState.IN_REVIEW, StoryState.SCHEDULED))
    if not remark.strip():
        raise Invalid({"remark": "Say what should change."})
    story.state, story.publish_at = StoryState.DRAFT, None
    record_review(session, story, ReviewVerdict.SENT_BACK, by=by, now=now, remark=remark.strip())


def approve_story(session: Session, story: Story, *, by: Account, now: datetime) -> Revision:
    """Publish a story now, and record who approved which saved state.

    Raises as `publish_story` does.
    """
    record_review(session, story, ReviewVerdict.APPROVED, by=by, now=now)
    return publish_story(session, story, by=by.id, now=now)


def schedule_story(
    session: Session, story: Story, at: datetime, *, by: Account, now: datetime
) -> None:
    """Approve a story as it is now, for publication at `at`.

    Raises Invalid where `at` has passed or is before the end of the embargo, or a check fails;
    Conflict where the story is neither a draft nor in review.
    """
    _require_state(story, UNAPPROVED_STATES)
    if at <= now:
        raise Invalid({"publish_at": "That moment has passed. Choose a later one."})
    if story.embargo_until and at < story.embargo_until:
        raise Invalid({"publish_at": "The embargo ends later. Choose a time after it."})
    story.publish_at = at
    records = look_up_story_records(session, story, story_id=story.id, now=now)
    require_checks_passed(session, records)
    story.state = StoryState.SCHEDULED
    record_review(session, story, ReviewVerdict.APPROVED, by=by, now=now)


def unschedule_story(story: Story) -> None:
    """Return a scheduled story to review. Raises Conflict where it is not scheduled."""
    _require_state(story, (StoryState.SCHEDULED,))
    story.state, story.publish_at = StoryState.IN_REVIEW, None


def list_due_stories(session: Session, *, now: datetime) -> Sequence[int]:
    """The ids of the scheduled stories that are due, earliest first."""
    query = select(Story.id).where(Story.state == StoryState.SCHEDULED, Story.publish_at <= now)
    return session.scalars(query.order_by(Story.publish_at)).all()


def publish_scheduled_story(session: Session, story: Story, *, now: datetime) -> Revision | None:
    """Publish a scheduled story that is due, in the name of its approver.

    Returns None where it is not due or where a check fails now; in the latter case the story
    returns to review with a remark. The caller has locked it, so that two workers publish it once.
    """
    is_scheduled = story.state is StoryState.SCHEDULED
    if not is_scheduled or story.publish_at is None or story.publish_at > now:
        return None
    approvals = select(Review).where(
        Review.story_id == story.id, Review.verdict == ReviewVerdict.APPROVED
    )
    approval = session.scalar(approvals.order_by(Review.id.desc()).limit(1))
    try:
        return publish_story(session, story, by=approval.by_id if approval else None, now=now)
    except Invalid as error:
        story.state, story.publish_at = StoryState.IN_REVIEW, None
        remark = f"It was not published as scheduled. {error}"
        record_review(session, story, ReviewVerdict.SENT_BACK, by=None, now=now, remark=remark)
        return None


def list_reviews(session: Session, story_id: int) -> Sequence[Review]:
    """The last 50 review steps of a story, newest first."""
    query = select(Review).where(Review.story_id == story_id).order_by(Review.id.desc())
    return session.scalars(query.limit(50)).all()


def _require_state(story: Story, states: Sequence[StoryState]) -> None:
    if story.state not in states:
        raise Conflict("Someone else changed the state of this story meanwhile.")


def record_review(
    session: Session,
    story: Story,
    verdict: ReviewVerdict,
    *,
    by: Account | None,
    now: datetime,
    remark: str = "",
) -> None:
    """Record a step of a review of what is saved now; `by` is None where NIF took it."""
    by_id, name = (by.id, by.name) if by else (None, "NIF")
    step = {"verdict": verdict, "remark": remark, "by_id": by_id, "by": name, "at": now}
    session.add(Review(story_id=story.id, edits=story.edits, **step))
