"""A large newsroom, made quickly: one story by the rules, and copies of its rows."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Table, insert, select
from sqlalchemy.orm import Session

from bench.sample_list import PARAGRAPH
from nif.accounts.models import Account
from nif.clock import utc_now
from nif.database import Database
from nif.register.models import OurSide, RelationshipType
from nif.register.parties import PartyInput, add_party
from nif.register.relationship_types import PublisherNames
from nif.register.relationships import RegisterContext, RelationshipInput, add_relationship
from nif.stories.corrections import NoteInput, StoryChange, StoryNote, revise_story
from nif.stories.drafts import (
    SourceInput,
    StoryInput,
    StorySearchIndex,
    create_draft,
    get_story,
    save_draft,
)
from nif.stories.models import (
    ChangeKind,
    NoteSeverity,
    ReasonCode,
    Revision,
    SourceKind,
    Story,
    StorySource,
    StoryState,
    new_ledger_id,
    story_party,
    story_tag,
)
from nif.stories.publishing import publish_story
from nif.stories.transparency_block import (
    AnswerInput,
    DeclarationQuestion,
    RelationshipDeclaration,
    StoryAiUse,
    StoryFunding,
    StoryOrigin,
)

REVISIONS = 5
PARTIES = 200
DRAFT_EVERY = 10
"""Every tenth story is a draft."""

STORIES_PER_TRANSACTION = 500
ANSWERS = {
    DeclarationQuestion.ORIGIN: AnswerInput(StoryOrigin.MONITORING),
    DeclarationQuestion.RELATIONSHIPS: AnswerInput(RelationshipDeclaration.NONE),
    DeclarationQuestion.MONEY: AnswerInput(StoryFunding.NONE),
    DeclarationQuestion.AI: AnswerInput(StoryAiUse.NONE),
}
COPY = StoryInput(
    headline="Palisade Records Sells Part 0 of Its Catalogue",
    dek="The buyer is not named",
    lead=PARAGRAPH,
    sections=[("Why it matters:", [PARAGRAPH] * 3), ("What is next:", [PARAGRAPH] * 2)],
    sources=[
        SourceInput(SourceKind.PUBLICATION, "The Gazette", "Sale", "https://example.com/sale"),
        SourceInput(SourceKind.COURT_FILING, "A court", "Filing", "https://example.com/filing"),
        SourceInput(SourceKind.PUBLICATION, "The Herald", "Sold", "https://example.com/sold"),
    ],
    reason_code=ReasonCode.TOPIC_NEWS,
    reason_subject="catalogue sales",
    byline="Jo Reyes",
    tags=["Deals", "Catalogues", "Royalties"],
    answers=ANSWERS,
)


def fill_newsroom(database: Database, size: int, by_id: int) -> int:
    """Create `size` stories and a register; returns the id of the first story.

    Each story has five revisions and four notes.
    """
    with database.transaction() as session:
        parties = _add_parties(session)
        first = _add_first_story(session, by_id)
        first_id, rows = first.id, _load_rows(session, first)
    for start in range(1, size, STORIES_PER_TRANSACTION):
        with database.transaction() as session:
            for table, original_rows in rows.items():
                copies = [
                    _copy_row(table, row, n, len(original_rows), parties)
                    for n in range(start, min(size, start + STORIES_PER_TRANSACTION))
                    for row in original_rows
                    if not _is_missing_in_draft(table, n)
                ]
                session.execute(insert(table), copies)
    return first_id


def _add_parties(session: Session) -> list[int]:
    now = utc_now()
    context = RegisterContext(PublisherNames("NIF", "The ROSTR Group"), None, now)
    found = []
    for n in range(PARTIES):
        party = add_party(session, PartyInput(f"Quillfeather {n} Music"), now=now)
        since = date(2020, 1, 1)
        add_relationship(
            session,
            party,
            RelationshipInput(OurSide.NIF, RelationshipType.ADVERTISER, since=since),
            context,
        )
        found.append(party.id)
    return found


def _add_first_story(session: Session, by_id: int) -> Story:
    now, account = utc_now(), session.get_one(Account, by_id)
    story = create_draft(session, COPY, author_id=by_id, now=now)
    publish_story(session, story, by=by_id, now=now)
    for n in range(1, REVISIONS):
        words = replace(COPY, lead=f"{PARAGRAPH} It was the {n + 1}th sale.")
        save_draft(session, story, words, edits=story.edits, by_id=by_id, now=now)
        note = NoteInput(
            incorrect_text=f"sale {n}", corrected_text=f"sale {n + 1}", severity=NoteSeverity.MINOR
        )
        revise_story(
            session, story, StoryChange(ChangeKind.CORRECTION, "Sale", note), by=account, now=now
        )
    session.flush()
    return get_story(session, story.id)


def _load_rows(session: Session, story: Story) -> dict[Table, list[dict[str, Any]]]:
    """All rows of a story, by table."""
    found: dict[Table, list[dict[str, Any]]] = {}
    for model in (Story, StorySource, Revision, StoryNote, StorySearchIndex):
        table: Any = model.__table__
        key = table.c.id if model is Story else table.c.story_id
        query = select(table).where(key == story.id).order_by(*table.primary_key)
        found[table] = [dict(row) for row in session.execute(query).mappings()]
    tagged = select(story_tag).where(story_tag.c.story_id == story.id)
    found[story_tag] = [dict(row) for row in session.execute(tagged).mappings()]
    found[story_party] = [{"story_id": story.id, "party_id": 0}]
    return found


def _is_missing_in_draft(table: Table, n: int) -> bool:
    return n % DRAFT_EVERY == 0 and table.name in {"revision", "note"}


def _copy_row(
    table: Table, row: dict[str, Any], n: int, row_count: int, parties: list[int]
) -> dict[str, Any]:
    """A row of the `n`th copy: with other ids, headline and slug, and an earlier time."""
    copy = {
        name: value - timedelta(minutes=10 * n) if isinstance(value, datetime) else value
        for name, value in row.items()
    }
    if table.name != "story":
        copy["story_id"] += n
    if "id" in copy:
        copy["id"] += n * row_count
    if table.name in {"story", "revision"}:
        copy["headline"] = copy["headline"].replace("Part 0", f"Part {n}")
        copy["slug"] = copy["slug"].replace("part-0", f"part-{n}")
    if table.name == "story":
        copy |= {"ledger_id": new_ledger_id(), "current_id": copy["current_id"] + n * REVISIONS}
        if n % DRAFT_EVERY == 0:
            copy |= {"state": StoryState.DRAFT, "current_id": None, "first_published_at": None}
    if table.name == "story_search":
        copy["folded"] = copy["folded"].replace("part 0", f"part {n}")
    if table.name == "story_party":
        copy["party_id"] = parties[n % len(parties)]
    return copy


def draft_ids(first_id: int, size: int) -> Iterator[int]:
    """The ids of the drafts."""
    return (first_id + n for n in range(DRAFT_EVERY, size, DRAFT_EVERY))
