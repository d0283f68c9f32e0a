"""Who is in a story, and what stands between them and us: looked up, and not left to memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from nif.media.models import Picture
from nif.register import deciding
from nif.register.matching import matcher
from nif.register.models import DisclosureDecision, Materiality, Relationship
from nif.register.standing import in_force
from nif.stories import bylines
from nif.stories.fingerprints import lines_of
from nif.stories.gates.finding import Case
from nif.stories.markup import plain, with_sources
from nif.stories.models import Story, story_party
from nif.stories.picturing import pictures_of


@dataclass(frozen=True)
class OnRecord:
    """The parties that a story names, and what is on record about them.

    `undecided` are the relationships that keep the story from its readers; `sentences` what its
    block tells of the others. `pictures` are those that it shows, by id. `knowers` may know an
    unnamed source; `strangers` are the names in its byline that nobody can look up.
    """

    parties: Sequence[int] = ()
    relationships: Sequence[Relationship] = ()
    undecided: Sequence[Relationship] = ()
    sentences: Sequence[str] = ()
    decisions: Mapping[int, DisclosureDecision] = field(default_factory=dict)
    pictures: Mapping[int, Picture] = field(default_factory=dict)
    strangers: Sequence[str] = ()
    knowers: Sequence[str] | None = None

    def case(self, story: Story, *, now: datetime) -> Case:
        """The story as its gates look at it."""
        names = dict.fromkeys(one.party.name for one in self.undecided)
        return Case(
            story,
            undecided=tuple(names),
            parties=frozenset(self.parties),
            strangers=tuple(self.strangers),
            knowers=None if self.knowers is None else frozenset(self.knowers),
            now=now,
            pictures=self.pictures,
        )


def named_in(session: Session, story: Story) -> list[int]:
    """The ids of the parties that a story names or is tagged with, in order."""
    lines = [plain(with_sources(text)[0]) for _, text in lines_of(story)]
    tags = [tag.name for tag in story.tags]
    return matcher(session).find("\n".join([*lines, *tags]))


def look_up(session: Session, story: Story, *, story_id: int | None, now: datetime) -> OnRecord:
    """What is on record about whom a story names. What must be told needs nobody's decision."""
    parties, pictures = named_in(session, story), pictures_of(session, [story])
    found = in_force(session, parties, on=now.date())
    strangers = bylines.strangers(session, story.byline)
    knowers = bylines.knowers(session, besides=story.author_id)
    if not found:
        return OnRecord(parties, pictures=pictures, strangers=strangers, knowers=knowers)
    known = deciding.decisions(session, story_id, found) if story_id else {}
    must = [one for one in found if one.materiality is Materiality.ALWAYS and one.id not in known]
    told = deciding.sentences(session, story_id, found) if story_id else []
    open_ = deciding.undecided(session, story_id, found) if story_id else found
    return OnRecord(
        parties=parties,
        relationships=found,
        undecided=[one for one in open_ if one not in must],
        sentences=list(dict.fromkeys([*(one.says(now.date()) for one in must), *told])),
        decisions=known,
        pictures=pictures,
        strangers=strangers,
        knowers=knowers,
    )


def keep(session: Session, story: Story, on_record: OnRecord, *, now: datetime) -> None:
    """Write down who is in a story and who wrote it, and that what must be told is told."""
    bylines.keep(session, story)
    deciding.disclose_by_rule(session, story.id, on_record.relationships, now=now)
    session.execute(delete(story_party).where(story_party.c.story_id == story.id))
    if on_record.parties:
        rows = [{"story_id": story.id, "party_id": party} for party in on_record.parties]
        session.execute(insert(story_party), rows)
