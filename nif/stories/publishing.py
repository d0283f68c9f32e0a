"""Publishing: the gates that a story has to pass, and the revision that readers then see."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from nif.database import insert_into
from nif.errors import Conflict, Invalid
from nif.stories.disclosing import OUR_OWN, WITHOUT_SUBJECT, block
from nif.stories.models import Revision, Shelf, Source, Story, StoryState
from nif.stories.slugs import free_slug, slugify

LONGEST_HEADLINE = 110


def problems(story: Story) -> dict[str, str]:
    """What stands between a story and its readers: a field, and a sentence about it."""
    return dict(_gates(story))


def publish(session: Session, story: Story, *, by: int | None, now: datetime) -> Revision:
    """Freeze the draft as its first revision and put it before readers.

    Raises Invalid where a gate is not passed, Conflict where the story is published already.
    """
    if story.state is StoryState.PUBLISHED:
        raise Conflict("This story is published already.")
    if failed := problems(story):
        raise Invalid(failed)
    revision = _freeze(story, by=by, now=now)
    session.add(revision)
    session.flush()
    story.state, story.current_id = StoryState.PUBLISHED, revision.id
    story.first_published_at = story.updated_at = now
    restock(session)
    return revision


SHELF_VERSION = select(Shelf.version).where(Shelf.id == 1)
"""The number that grows with every change that a reader could see; none before the first."""


def restock(session: Session) -> None:
    """Say that something changed which readers can see, so that no page is served from before."""
    session.execute(
        insert_into(session, Shelf)
        .values(id=1, version=1)
        .on_conflict_do_update(index_elements=[Shelf.id], set_={"version": Shelf.version + 1})
    )


def _gates(story: Story) -> Iterator[tuple[str, str]]:
    yield from _text_gates(story)
    yield from _section_gates(story)
    yield from _source_gates(story.sources)
    if story.reason_code is None:
        yield "reason_code", "Say why NIF covers this: readers were promised an answer."
    elif story.reason_code not in WITHOUT_SUBJECT and not story.reason_subject.strip():
        yield "reason_subject", "Finish the sentence “We covered it because …”."


def _text_gates(story: Story) -> Iterator[tuple[str, str]]:
    if not story.headline.strip():
        yield "headline", "A story needs a headline."
    elif len(story.headline) > LONGEST_HEADLINE:
        yield "headline", f"A headline has at most {LONGEST_HEADLINE} characters."
    if not story.lead.strip():
        yield "lead", "A story needs a lead: the paragraph that says what happened."
    if not story.byline.strip():
        yield "byline", "Readers are told who wrote a story: give a byline."


def _section_gates(story: Story) -> Iterator[tuple[str, str]]:
    empty = [section["label"] for section in story.sections if not section["bullets"]]
    if len(empty) == len(story.sections):
        yield "sections", "A story needs at least one section with a bullet."
    elif empty:
        yield "sections", f"The section “{empty[0]}” has no bullet yet."


def _source_gates(sources: list[Source]) -> Iterator[tuple[str, str]]:
    if not sources:
        yield (
            "sources",
            "Say where this came from: at least one source, our own reporting included.",
        )
    for n, source in enumerate(sources, start=1):
        if source.kind in OUR_OWN:
            continue
        if not (source.publisher.strip() or source.title.strip()):
            yield "sources", f"Source {n} needs a name: who published it, or what it is."
        elif not is_address(source.url):
            yield "sources", f"Source {n} needs its exact address, beginning with https://."


def is_address(text: str) -> bool:
    """Is this an address on the web that a reader could open?"""
    if any(ch.isspace() for ch in text):
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False


def _freeze(story: Story, *, by: int | None, now: datetime) -> Revision:
    sections = _anchored(story.sections)
    content: dict[str, Any] = {
        "slug": story.slug,
        "story_type": story.story_type,
        "headline": story.headline,
        "dek": story.dek,
        "lead": story.lead,
        "sections": sections,
        "byline": story.byline,
        "block": [asdict(sentence) for sentence in block(story)],
        "sources": [_record(source) for source in story.sources],
        "tags": sorted([tag.slug, tag.name] for tag in story.tags),
    }
    return Revision(
        story_id=story.id,
        n=1,
        words=_count_words(story.lead, sections),
        published_at=now,
        first_published_at=now,
        published_by_id=by,
        content_hash=hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest(),
        **content,
    )


def preview(story: Story, *, now: datetime) -> Revision:
    """The revision that publishing would make, without making it."""
    return _freeze(story, by=None, now=now)


def _anchored(sections: list[Any]) -> list[dict[str, Any]]:
    """The sections with an anchor each, and one for each bullet: `why-it-matters`, `…-2`."""
    taken: set[str] = set()
    anchored = []
    for section in sections:
        anchor = free_slug(slugify(section["label"]), taken)
        taken.add(anchor)
        bullets = []
        for n, text in enumerate(section["bullets"], start=1):
            own = free_slug(f"{anchor}-b{n}", taken)
            taken.add(own)
            bullets.append({"anchor": own, "text": text})
        anchored.append({"anchor": anchor, "label": section["label"], "bullets": bullets})
    return anchored


def _record(source: Source) -> dict[str, Any]:
    names = ("kind", "publisher", "title", "url", "taken", "seen_by_us")
    return {name: getattr(source, name) for name in names}


def _count_words(lead: str, sections: list[dict[str, Any]]) -> int:
    """The words of lead, labels and bullets: what a reader reads under the headline."""
    parts = [lead]
    for section in sections:
        parts += [section["label"], *(bullet["text"] for bullet in section["bullets"])]
    return sum(len(part.split()) for part in parts)


def backdate(session: Session, story: Story, *, moment: datetime) -> None:
    """Give a published story an earlier moment: for archives that are brought in, and the demo."""
    story.first_published_at = story.updated_at = moment
    session.execute(
        update(Revision)
        .where(Revision.id == story.current_id)
        .values(published_at=moment, first_published_at=moment)
    )
