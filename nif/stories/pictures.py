"""The pictures of a story: which ones it shows, how often, and what its revisions keep of them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy.orm import Session

from nif.errors import Invalid, NotFound
from nif.media.library import count_picture_uses, find_pictures_by_id
from nif.media.models import Picture
from nif.media.snapshots import snapshot_picture
from nif.stories.models import Revision, Story

PICTURE_GONE = "This picture is no longer in the library. Choose another one, or none."

PictureCounts = Counter[int]
"""How many times a text shows each picture, by picture id."""


def chosen_pictures_of(story: Story) -> Iterator[tuple[str, int]]:
    """Pairs of form field and picture id for each picture of a working copy."""
    if story.picture_id is not None:
        yield "picture_id", story.picture_id
    for n, section in enumerate(story.sections or ()):
        if (picture_id := section.get("picture")) is not None:
            yield f"sections-{n}-picture", picture_id


def count_draft_pictures(story: Story) -> PictureCounts:
    """How often a working copy shows each picture."""
    return Counter(picture_id for _, picture_id in chosen_pictures_of(story))


def count_revision_pictures(revision: Revision) -> PictureCounts:
    """How often a revision shows each picture."""
    return Counter(record["id"] for record in picture_records_of(revision))


def picture_records_of(revision: Revision) -> Iterator[Mapping[str, Any]]:
    """The picture snapshots of a revision, in the order of the page."""
    if revision.picture:
        yield revision.picture
    for section in revision.sections:
        if record := section.get("picture"):
            yield record


def update_picture_uses(session: Session, *, before: PictureCounts, after: PictureCounts) -> None:
    """Add the difference to the use counts of the pictures.

    Raises Invalid for `pictures` where one of them was deleted from the library.
    """
    change = after.copy()
    change.subtract(before)
    try:
        count_picture_uses(session, change)
    except NotFound:
        raise Invalid({"pictures": PICTURE_GONE}) from None


def get_pictures_of_stories(session: Session, stories: Iterable[Story]) -> dict[int, Picture]:
    """The pictures of some working copies, with their renditions, by id."""
    return find_pictures_by_id(
        session, {picture_id for story in stories for picture_id in count_draft_pictures(story)}
    )


def find_picture_record(
    pictures: Mapping[int, Picture], picture_id: int | None
) -> dict[str, Any] | None:
    """The snapshot of a picture for a revision; None without a picture or without a file of it."""
    picture = pictures.get(picture_id or 0)
    return snapshot_picture(picture) if picture is not None and picture.ready_set else None
