"""Who is in a story, and what stands between them and us: looked up, and not left to memory."""

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
    """The parties that a story names, and what is on record about them.

    `undecided` are the relationships that keep the story from its readers; `sentences` what its
    block tells of the others. `pictures` are those that it shows, by id. `confidants` may know an
    unnamed source; `names_without_profile` are the names in its byline that nobody can look up.
    """

    parties: Sequence[int] = ()
    relationships: Sequence[Relationship] = ()
    undecided: Sequence[Relationship] = ()
    sentences: Sequence[str] = ()
    decisions: Mapping[int, DisclosureDecision] = field(default_factory=dict)
    pictures: Mapping[int, Picture] = field(default_factory=dict)
    names_without_profile: Sequence[str] = ()
    confidants: Sequence[str] | None = None

    def check_context(self, story: Story, *, now: datetime) -> CheckContext:
        """The story as its gates look at it."""
        names = dict.fromkeys(one.party.name for one in self.undecided)
        return CheckContext(
            story,
            undecided=tuple(names),
            parties=frozenset(self.parties),
            names_without_profile=tuple(self.names_without_profile),
            confidants=None if self.confidants is None else frozenset(self.confidants),
            now=now,
            pictures=self.pictures,
        )


def find_named_parties(session: Session, story: Story) -> list[int]:
    """The ids of the parties that a story names or is tagged with, in order."""
    lines = [strip_markup(split_source_references(text)[0]) for _, text in text_lines_of(story)]
    tags = [tag.name for tag in story.tags]
    return get_party_matcher(session).find("\n".join([*lines, *tags]))


def look_up_story_records(
    session: Session, story: Story, *, story_id: int | None, now: datetime
) -> StoryRecords:
    """What is on record about whom a story names. What must be told needs nobody's decision."""
    parties, pictures = (
        find_named_parties(session, story),
        get_pictures_of_stories(session, [story]),
    )
    found = list_relationships_in_force(session, parties, on=now.date())
    names_without_profile = bylines.list_byline_names_without_profile(session, story.byline)
    confidants = bylines.list_source_confidants(session, besides=story.author_id)
    if not found:
        return StoryRecords(
            parties,
            pictures=pictures,
            names_without_profile=names_without_profile,
            confidants=confidants,
        )
    known = disclosure_decisions.map_current_decisions(session, story_id, found) if story_id else {}
    must = [one for one in found if one.materiality is Materiality.ALWAYS and one.id not in known]
    told = (
        disclosure_decisions.list_disclosed_sentences(session, story_id, found) if story_id else []
    )
    open_ = (
        disclosure_decisions.list_open_disclosures(session, story_id, found) if story_id else found
    )
    return StoryRecords(
        parties=parties,
        relationships=found,
        undecided=[one for one in open_ if one not in must],
        sentences=list(dict.fromkeys([*(one.sentence_on(now.date()) for one in must), *told])),
        decisions=known,
        pictures=pictures,
        names_without_profile=names_without_profile,
        confidants=confidants,
    )


def save_story_parties(
    session: Session, story: Story, on_record: StoryRecords, *, now: datetime
) -> None:
    """Write down who is in a story and who wrote it, and that what must be told is told."""
    bylines.save_byline_accounts(session, story)
    disclosure_decisions.disclose_mandatory_relationships(
        session, story.id, on_record.relationships, now=now
    )
    session.execute(delete(story_party).where(story_party.c.story_id == story.id))
    if on_record.parties:
        rows = [{"story_id": story.id, "party_id": party} for party in on_record.parties]
        session.execute(insert(story_party), rows)
