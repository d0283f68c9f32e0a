"""Publishing: the gates that a story has to pass, and the revision that readers then see."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from nif.database import conflict_aware_insert
from nif.errors import Conflict, Invalid
from nif.media.library import count_picture_uses
from nif.media.models import Picture
from nif.slugs import make_slug_unique, slugify
from nif.stories.checks.checks import (
    blocking_findings_of,
    list_overridden_codes,
    run_checks,
    sentences_by_field,
)
from nif.stories.ledger_entries import append_revision_to_ledger
from nif.stories.models import (
    ChangeKind,
    PageVersion,
    Revision,
    Story,
    StorySource,
    StoryStanding,
    StoryState,
)
from nif.stories.parties import StoryRecords, look_up_story_records, save_story_parties
from nif.stories.pictures import count_revision_pictures, find_picture_record
from nif.stories.text import count_words, split_source_references
from nif.stories.transparency_block import build_transparency_block


def publish_story(session: Session, story: Story, *, by: int | None, now: datetime) -> Revision:
    """Freeze the draft as its first revision and put it before readers.

    Raises Invalid where a gate is in the way, Conflict where the story is published already.
    """
    if story.state is StoryState.PUBLISHED:
        raise Conflict("This story is published already.")
    on_record = require_checks_passed(session, story, now=now)
    save_story_parties(session, story, on_record, now=now)
    revision = freeze_revision(session, story, by=by, now=now)
    session.add(revision)
    session.flush()
    count_picture_uses(session, count_revision_pictures(revision))
    story.state, story.current_id = StoryState.PUBLISHED, revision.id
    story.first_published_at = story.updated_at = now
    story.publish_at = None
    # Whoever still has the draft open is told that it is a draft no more.
    story.edits += 1
    invalidate_pages(session)
    append_revision_to_ledger(session, story, revision)
    return revision


def require_checks_passed(session: Session, story: Story, *, now: datetime) -> StoryRecords:
    """What is on record about a story. Raises Invalid where something is in its way."""
    on_record = look_up_story_records(session, story, story_id=story.id, now=now)
    findings = run_checks(on_record.check_context(story, now=now))
    if found := blocking_findings_of(findings, list_overridden_codes(session, story)):
        raise Invalid(sentences_by_field(found))
    return on_record


PAGE_VERSION = select(PageVersion.version).where(PageVersion.id == 1)
"""The number that grows with every change that a reader could see; none before the first."""


def invalidate_pages(session: Session) -> None:
    """Say that something changed which readers can see, so that no page is served from before."""
    session.execute(
        conflict_aware_insert(session, PageVersion)
        .values(id=1, version=1)
        .on_conflict_do_update(
            index_elements=[PageVersion.id], set_={"version": PageVersion.version + 1}
        )
    )


def freeze_revision(
    session: Session,
    story: Story,
    *,
    by: int | None,
    now: datetime,
    before: Revision | None = None,
) -> Revision:
    """The revision that publishing makes of the working copy, in no session yet.

    `before` is the one that it follows; who wrote and edited the story is told as it was there.
    Pictures of which there is no file yet are left out: no gate lets them pass.
    """
    same_person = by is not None and by == story.author_id
    if before is not None:
        same_person = any(sentence["kind"] == "desk" for sentence in before.block)
    known = look_up_story_records(session, story, story_id=story.id, now=now)
    pictures = known.pictures
    sentences = build_transparency_block(
        story, same_person=same_person, on_record=known.sentences, pictures=pictures.values()
    )
    content: dict[str, Any] = {
        "slug": story.slug,
        "story_type": story.story_type,
        "headline": story.headline,
        "dek": story.dek,
        "lead": story.lead,
        "sections": _anchor_sections(story.sections, pictures),
        "byline": story.byline,
        "block": [asdict(sentence) for sentence in sentences],
        "sources": [_public_source_record(source) for source in story.sources],
        "answers": story.answers,
        "tags": sorted([tag.slug, tag.name] for tag in story.tags),
    }
    if lead := find_picture_record(pictures, story.picture_id):
        # Not where there is none: what a story without pictures says keeps its hash.
        content["picture"] = lead
    return Revision(
        story_id=story.id,
        n=before.n + 1 if before else 1,
        words=count_words(story.lead, story.sections),
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
    """SHA-256 over what a revision says, and not over the moment at which it says so."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _anchor_sections(sections: list[Any], pictures: Mapping[int, Picture]) -> list[dict[str, Any]]:
    """The sections with an anchor each, and one for each bullet: `why-it-matters`, `…-2`."""
    taken: set[str] = set()
    anchored: list[dict[str, Any]] = []
    for section in sections:
        anchor = make_slug_unique(slugify(section["label"]), taken)
        taken.add(anchor)
        bullets = []
        for n, text in enumerate(section["bullets"], start=1):
            own = make_slug_unique(f"{anchor}-b{n}", taken)
            taken.add(own)
            line, sources = split_source_references(text)
            bullets.append({"anchor": own, "text": line, "sources": sources})
        told = {"anchor": anchor, "label": section["label"], "bullets": bullets}
        if picture := find_picture_record(pictures, section.get("picture")):
            told["picture"] = picture
        anchored.append(told)
    return anchored


def _public_source_record(source: StorySource) -> dict[str, Any]:
    """A source as everyone may know it: of one who is not named, nothing that could name them."""
    names = ("kind", "publisher", "title", "url", "taken", "seen_by_us", "relied_on", "checked")
    said = {name: getattr(source, name) for name in names}
    if source.is_unnamed:
        said |= {"title": "", "url": "", "unnamed_because": source.unnamed_because}
    return said


def backdate_story(session: Session, story: Story, *, moment: datetime) -> None:
    """Give a published story an earlier moment: for archives that are brought in, and the demo."""
    story.first_published_at = story.updated_at = moment
    session.execute(
        update(Revision)
        .where(Revision.id == story.current_id)
        .values(published_at=moment, first_published_at=moment, modified_at=moment)
    )
