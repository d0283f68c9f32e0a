"""The pictures of a story: which it shows, in how many places, and what revisions keep of them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy.orm import Session

from nif.errors import Invalid, NotFound
from nif.media.freezing import frozen
from nif.media.keeping import use_all
from nif.media.models import Picture
from nif.media.reading import by_id
from nif.stories.models import Revision, Story

GONE = "This picture is not in the library any more. Choose another, or none."

Places = Counter[int]
"""How many places of a text show a picture, by its id."""


def chosen_in(story: Story) -> Iterator[tuple[str, int]]:
    """The pictures of a working copy, each with its field in the form."""
    if story.picture_id is not None:
        yield "picture_id", story.picture_id
    for n, section in enumerate(story.sections or ()):
        if (picture_id := section.get("picture")) is not None:
            yield f"sections-{n}-picture", picture_id


def places_in(story: Story) -> Places:
    """The places of a working copy."""
    return Counter(picture_id for _, picture_id in chosen_in(story))


def places_of(revision: Revision) -> Places:
    """The places of a revision."""
    return Counter(record["id"] for record in records_of(revision))


def records_of(revision: Revision) -> Iterator[Mapping[str, Any]]:
    """The pictures that a revision froze, in the order of the page."""
    if revision.picture:
        yield revision.picture
    for section in revision.sections:
        if record := section.get("picture"):
            yield record


def count(session: Session, *, before: Places, after: Places) -> None:
    """Count the places of a working copy that changed. Raises Invalid where a picture is gone."""
    change = after.copy()
    change.subtract(before)
    try:
        use_all(session, change)
    except NotFound:
        raise Invalid({"pictures": GONE}) from None


def pictures_of(session: Session, stories: Iterable[Story]) -> dict[int, Picture]:
    """The pictures of some working copies, with their files, by id."""
    return by_id(session, {one for story in stories for one in places_in(story)})


def kept_of(pictures: Mapping[int, Picture], picture_id: int | None) -> dict[str, Any] | None:
    """What a revision keeps of a picture; None where there is none, or no file of it yet."""
    picture = pictures.get(picture_id or 0)
    return frozen(picture) if picture is not None and picture.made else None
