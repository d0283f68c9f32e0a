"""Publishing: the gates that a story has to pass, and the revision that readers then see."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from nif.database import insert_into
from nif.errors import Conflict, Invalid
from nif.media.keeping import use_all
from nif.media.models import Picture
from nif.stories.disclosing import block
from nif.stories.gating import by_field, check, decided_codes, in_the_way
from nif.stories.kinds import ChangeKind, Standing
from nif.stories.markup import with_sources
from nif.stories.measuring import count_words
from nif.stories.models import Revision, Shelf, Source, Story, StoryState
from nif.stories.parties import OnRecord, keep, look_up
from nif.stories.picturing import kept_of, places_of
from nif.stories.recording import write_down
from nif.stories.slugs import free_slug, slugify


def publish(session: Session, story: Story, *, by: int | None, now: datetime) -> Revision:
    """Freeze the draft as its first revision and put it before readers.

    Raises Invalid where a gate is in the way, Conflict where the story is published already.
    """
    if story.state is StoryState.PUBLISHED:
        raise Conflict("This story is published already.")
    on_record = pass_gates(session, story, now=now)
    keep(session, story, on_record, now=now)
    revision = freeze(session, story, by=by, now=now)
    session.add(revision)
    session.flush()
    use_all(session, places_of(revision))
    story.state, story.current_id = StoryState.PUBLISHED, revision.id
    story.first_published_at = story.updated_at = now
    story.publish_at = None
    # Whoever still has the draft open is told that it is a draft no more.
    story.edits += 1
    restock(session)
    write_down(session, revision)
    return revision


def pass_gates(session: Session, story: Story, *, now: datetime) -> OnRecord:
    """What is on record about a story. Raises Invalid where something is in its way."""
    on_record = look_up(session, story, story_id=story.id, now=now)
    findings = check(on_record.case(story, now=now))
    if found := in_the_way(findings, decided_codes(session, story)):
        raise Invalid(by_field(found))
    return on_record


SHELF_VERSION = select(Shelf.version).where(Shelf.id == 1)
"""The number that grows with every change that a reader could see; none before the first."""


def restock(session: Session) -> None:
    """Say that something changed which readers can see, so that no page is served from before."""
    session.execute(
        insert_into(session, Shelf)
        .values(id=1, version=1)
        .on_conflict_do_update(index_elements=[Shelf.id], set_={"version": Shelf.version + 1})
    )


def freeze(
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
    known = look_up(session, story, story_id=story.id, now=now)
    pictures = known.pictures
    sentences = block(
        story, same_person=same_person, on_record=known.sentences, pictures=pictures.values()
    )
    content: dict[str, Any] = {
        "slug": story.slug,
        "story_type": story.story_type,
        "headline": story.headline,
        "dek": story.dek,
        "lead": story.lead,
        "sections": _anchored(story.sections, pictures),
        "byline": story.byline,
        "block": [asdict(sentence) for sentence in sentences],
        "sources": [_record(source) for source in story.sources],
        "answers": story.answers,
        "tags": sorted([tag.slug, tag.name] for tag in story.tags),
    }
    if lead := kept_of(pictures, story.picture_id):
        # Not where there is none: what a story without pictures says keeps its hash.
        content["picture"] = lead
    return Revision(
        story_id=story.id,
        n=before.n + 1 if before else 1,
        words=count_words(story.lead, story.sections),
        published_at=now,
        first_published_at=before.first_published_at if before else now,
        published_by_id=by,
        content_hash=hash_of(content),
        kind=ChangeKind.PUBLISH,
        standing=before.standing if before else Standing.SOUND,
        modified_at=now,
        **content,
    )


def hash_of(content: Mapping[str, Any]) -> str:
    """SHA-256 over what a revision says, and not over the moment at which it says so."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _anchored(sections: list[Any], pictures: Mapping[int, Picture]) -> list[dict[str, Any]]:
    """The sections with an anchor each, and one for each bullet: `why-it-matters`, `…-2`."""
    taken: set[str] = set()
    anchored: list[dict[str, Any]] = []
    for section in sections:
        anchor = free_slug(slugify(section["label"]), taken)
        taken.add(anchor)
        bullets = []
        for n, text in enumerate(section["bullets"], start=1):
            own = free_slug(f"{anchor}-b{n}", taken)
            taken.add(own)
            line, sources = with_sources(text)
            bullets.append({"anchor": own, "text": line, "sources": sources})
        told = {"anchor": anchor, "label": section["label"], "bullets": bullets}
        if picture := kept_of(pictures, section.get("picture")):
            told["picture"] = picture
        anchored.append(told)
    return anchored


def _record(source: Source) -> dict[str, Any]:
    """A source as everyone may know it: of one who is not named, nothing that could name them."""
    names = ("kind", "publisher", "title", "url", "taken", "seen_by_us", "relied_on", "checked")
    said = {name: getattr(source, name) for name in names}
    if source.is_unnamed:
        said |= {"title": "", "url": "", "unnamed_because": source.unnamed_because}
    return said


def backdate(session: Session, story: Story, *, moment: datetime) -> None:
    """Give a published story an earlier moment: for archives that are brought in, and the demo."""
    story.first_published_at = story.updated_at = moment
    session.execute(
        update(Revision)
        .where(Revision.id == story.current_id)
        .values(published_at=moment, first_published_at=moment, modified_at=moment)
    )
