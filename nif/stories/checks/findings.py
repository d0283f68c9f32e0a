"""What a check finds, and what it knows about a story."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from nif.media.models import Picture
from nif.stories.models import Story


class FindingLevel(StrEnum):
    """What a finding means for publication.

    `BLOCK` stops the story. `DECIDE` stops it until a standards editor overrides the check, for a
    reason that is stored and published. `WARN` stops nothing.
    """

    BLOCK = "block"
    DECIDE = "decide"
    WARN = "warn"


@dataclass(frozen=True)
class CheckFinding:
    """One problem: the code of the check, the form field that it is about, and a sentence."""

    code: str
    field: str
    text: str
    level: FindingLevel = FindingLevel.BLOCK


@dataclass(frozen=True)
class CheckContext:
    """A story, and what the checks need to know besides.

    `parties` are the ids of all parties that it names; `undecided_parties` are the names of those
    with a relationship that nobody has decided about yet. `pictures` are those that it shows, by
    id. `names_without_profile` are byline names that readers cannot look up. `confidants` are the
    names of editors who may know an unnamed source; None skips that check.
    """

    story: Story
    undecided_parties: tuple[str, ...] = ()
    parties: frozenset[int] = field(default_factory=frozenset)
    now: datetime | None = None
    pictures: Mapping[int, Picture] = field(default_factory=dict)
    names_without_profile: tuple[str, ...] = ()
    confidants: frozenset[str] | None = None


StoryCheck = Callable[[CheckContext], Iterator[CheckFinding]]
