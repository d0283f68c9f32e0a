"""A newsroom of many years, made quickly: one story by the rules, and the rest copied from it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Table, insert, select
from sqlalchemy.orm import Session

from bench.filling import PARAGRAPH
from nif.accounts.models import Account
from nif.clock import utc_now
from nif.database import Database
from nif.register.models import OurSide, RelationshipType
from nif.register.parties import PartyInput, add_party
from nif.register.relationship_types import PublisherNames
from nif.register.relationships import RegisterContext, RelationshipInput, add_relationship
from nif.stories.corrections import NoteInput, StoryChange, StoryNote, revise_story
from nif.stories.declarations import (
    AnswerInput,
    DeclarationQuestion,
    RelationshipDeclaration,
    StoryAiUse,
    StoryFunding,
    StoryOrigin,
)
from nif.stories.drafts import SourceInput, StoryInput, create_draft, get_story, save_draft
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
from nif.stories.search import StorySearchIndex

REVISIONS = 5
PARTIES = 200
DRAFT_IN = 10
"""Every tenth story is a draft still."""

CHUNK = 500
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


def fill(database: Database, size: int, by_id: int) -> int:
    """So many stories of five revisions and four notes each, and a register; the first one's id."""
    with database.transaction() as session:
        parties = _register(session)
        first = _first(session, by_id)
        first_id, rows = first.id, _rows(session, first)
    for start in range(1, size, CHUNK):
        with database.transaction() as session:
            for table, own in rows.items():
                copies = [
                    _copied(table, row, n, len(own), parties)
                    for n in range(start, min(size, start + CHUNK))
                    for row in own
                    if not _is_missing(table, n)
                ]
                session.execute(insert(table), copies)
    return first_id


def _register(session: Session) -> list[int]:
    now = utc_now()
    pen = RegisterContext(PublisherNames("NIF", "The ROSTR Group"), None, now)
    found = []
    for n in range(PARTIES):
        party = add_party(session, PartyInput(f"Quillfeather {n} Music"), now=now)
        since = date(2020, 1, 1)
        add_relationship(
            session,
            party,
            RelationshipInput(OurSide.NIF, RelationshipType.ADVERTISER, since=since),
            pen,
        )
        found.append(party.id)
    return found


def _first(session: Session, by_id: int) -> Story:
    now, me = utc_now(), session.get_one(Account, by_id)
    story = create_draft(session, COPY, author_id=by_id, now=now)
    publish_story(session, story, by=by_id, now=now)
    for n in range(1, REVISIONS):
        words = replace(COPY, lead=f"{PARAGRAPH} It was the {n + 1}th sale.")
        save_draft(session, story, words, edits=story.edits, by_id=by_id, now=now)
        note = NoteInput(
            incorrect_text=f"sale {n}", corrected_text=f"sale {n + 1}", severity=NoteSeverity.MINOR
        )
        revise_story(
            session, story, StoryChange(ChangeKind.CORRECTION, "Sale", note), by=me, now=now
        )
    session.flush()
    return get_story(session, story.id)


def _rows(session: Session, story: Story) -> dict[Table, list[dict[str, Any]]]:
    """What the database holds of a story, table by table."""
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


def _is_missing(table: Table, n: int) -> bool:
    return n % DRAFT_IN == 0 and table.name in {"revision", "note"}


def _copied(
    table: Table, row: dict[str, Any], n: int, many: int, parties: list[int]
) -> dict[str, Any]:
    """A row of the `n`th copy: other ids, another headline and address, an earlier time."""
    made = {
        name: value - timedelta(minutes=10 * n) if isinstance(value, datetime) else value
        for name, value in row.items()
    }
    if table.name != "story":
        made["story_id"] += n
    if "id" in made:
        made["id"] += n * many
    if table.name in {"story", "revision"}:
        made["headline"] = made["headline"].replace("Part 0", f"Part {n}")
        made["slug"] = made["slug"].replace("part-0", f"part-{n}")
    if table.name == "story":
        made |= {"ledger_id": new_ledger_id(), "current_id": made["current_id"] + n * REVISIONS}
        if n % DRAFT_IN == 0:
            made |= {"state": StoryState.DRAFT, "current_id": None, "first_published_at": None}
    if table.name == "story_search":
        made["folded"] = made["folded"].replace("part 0", f"part {n}")
    if table.name == "story_party":
        made["party_id"] = parties[n % len(parties)]
    return made


def drafts(first_id: int, size: int) -> Iterator[int]:
    """The ids of the stories that are drafts."""
    return (first_id + n for n in range(DRAFT_IN, size, DRAFT_IN))
