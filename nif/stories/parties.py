"""The parties that a story names, and their relationships with NIF, looked up in the register."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from nif.media.models import Picture
from nif.register import disclosure_decisions
from nif.register.models import DisclosureDecision, Materiality, Relationship
from nif.register.name_matching import get_party_matcher
from nif.register.relationships import list_relationships_in_force
from nif.stories import bylines
from nif.stories.checks.findings import CheckContext
from nif.stories.models import Story, story_party, text_lines_of
from nif.stories.pictures import get_pictures_of_stories
from nif.stories.text import split_source_references, strip_markup


@dataclass(frozen=True)
class StoryRecords:
    """What NIF's records say about a story: its parties, relationships, pictures and byline.

    `parties` are the ids of the parties that the story names. `undecided_relationships` block
    publication until somebody decides about them; `sentences` are what the transparency block
    discloses about the others. `decisions` are the current ones, by relationship id; `pictures`
    are those that the story shows, by id. `confidants` are the names of the editors who may know
    an unnamed source; `names_without_profile` are byline names that readers cannot look up.
    """

    parties: Sequence[int] = ()
    relationships: Sequence[Relationship] = ()
    undecided_relationships: Sequence[Relationship] = ()
    sentences: Sequence[str] = ()
    decisions: Mapping[int, DisclosureDecision] = field(default_factory=dict)
    pictures: Mapping[int, Picture] = field(default_factory=dict)
    names_without_profile: Sequence[str] = ()
    confidants: Sequence[str] | None = None

    def check_context(self, story: Story, *, now: datetime) -> CheckContext:
        """The story and these records, as the checks take them."""
        names = dict.fromkeys(
            relationship.party.name for relationship in self.undecided_relationships
        )
        return CheckContext(
            story,
            undecided_parties=tuple(names),
            parties=frozenset(self.parties),
            names_without_profile=tuple(self.names_without_profile),
            confidants=None if self.confidants is None else frozenset(self.confidants),
            now=now,
            pictures=self.pictures,
        )


def find_named_parties(session: Session, story: Story) -> list[int]:
    """The ids of the parties that a story names or is tagged with, in order of appearance."""
    lines = [strip_markup(split_source_references(text)[0]) for _, text in text_lines_of(story)]
    tags = [tag.name for tag in story.tags]
    return get_party_matcher(session).find_party_ids("\n".join([*lines, *tags]))


def look_up_story_records(
    session: Session, story: Story, *, story_id: int | None, now: datetime
) -> StoryRecords:
    """What the records say about a story.

    A relationship that is always disclosed needs no decision. `story_id` is None for a story that
    is not saved yet: nothing can have been decided about it.
    """
    parties = find_named_parties(session, story)
    pictures = get_pictures_of_stories(session, [story])
    names_without_profile = bylines.list_byline_names_without_profile(session, story.byline)
    confidants = bylines.list_source_confidants(session, excluding=story.author_id)
    relationships = list_relationships_in_force(session, parties, on=now.date())
    if not relationships:
        return StoryRecords(
            parties,
            pictures=pictures,
            names_without_profile=names_without_profile,
            confidants=confidants,
        )
    decisions: Mapping[int, DisclosureDecision] = {}
    disclosed: Sequence[str] = ()
    undecided: Sequence[Relationship] = relationships
    if story_id:
        decisions = disclosure_decisions.map_current_decisions(session, story_id, relationships)
        disclosed = disclosure_decisions.list_disclosed_sentences(session, story_id, relationships)
        undecided = disclosure_decisions.list_open_disclosures(session, story_id, relationships)
    mandatory = [
        each
        for each in relationships
        if each.materiality is Materiality.ALWAYS and each.id not in decisions
    ]
    mandatory_sentences = [each.sentence_on(now.date()) for each in mandatory]
    return StoryRecords(
        parties=parties,
        relationships=relationships,
        undecided_relationships=[each for each in undecided if each not in mandatory],
        sentences=list(dict.fromkeys([*mandatory_sentences, *disclosed])),
        decisions=decisions,
        pictures=pictures,
        names_without_profile=names_without_profile,
        confidants=confidants,
    )


def save_story_parties(
    session: Session, story: Story, records: StoryRecords, *, now: datetime
) -> None:
    """Record a story's parties and authors, and that mandatory relationships are disclosed."""
    bylines.save_byline_accounts(session, story)
    disclosure_decisions.disclose_mandatory_relationships(
        session, story.id, records.relationships, now=now
    )
    session.execute(delete(story_party).where(story_party.c.story_id == story.id))
    if records.parties:
        rows = [{"story_id": story.id, "party_id": party} for party in records.parties]
        session.execute(insert(story_party), rows)
