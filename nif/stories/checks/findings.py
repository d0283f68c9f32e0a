"""What a gate finds."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from nif.media.models import Picture
from nif.stories.models import Story


class FindingLevel(StrEnum):
    """`BLOCK` stops a story. `DECIDE` stops it too, until a standards editor decides otherwise, for
    a reason that is kept and counted in public. `WARN` only says so."""

    BLOCK = "block"
    DECIDE = "decide"
    WARN = "warn"


@dataclass(frozen=True)
class CheckFinding:
    """One thing that is amiss: the gate's code, the field to go to, and a sentence about it."""

    code: str
    field: str
    text: str
    level: FindingLevel = FindingLevel.BLOCK


@dataclass(frozen=True)
class CheckContext:
    """A story, and what a gate has to know of the world around it.

    `undecided` names the parties in the story with whom something is on record that nobody has
    decided about yet; `parties` are the ids of all parties in it, `pictures` those that it shows;
    `names_without_profile` the names in its byline that readers cannot look up;
    `confidants` the editors who may know an unnamed source, None where nobody has looked.
    """

    story: Story
    undecided: tuple[str, ...] = ()
    parties: frozenset[int] = field(default_factory=frozenset)
    now: datetime | None = None
    pictures: Mapping[int, Picture] = field(default_factory=dict)
    names_without_profile: tuple[str, ...] = ()
    confidants: frozenset[str] | None = None


StoryCheck = Callable[[CheckContext], Iterator[CheckFinding]]
