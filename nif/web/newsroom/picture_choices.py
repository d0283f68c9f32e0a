"""The pictures that the story form offers: their labels, the chosen ones, and missing ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from nif.media.library import find_pictures_by_id, list_picture_choices
from nif.media.models import Picture
from nif.media.snapshots import snapshot_picture
from nif.stories.pictures import PICTURE_GONE
from nif.web.newsroom.story_form import StoryForm, parse_picture_id

LONGEST_PICTURE_LABEL = 70


@dataclass(frozen=True)
class PictureChoices:
    """What the story form shows of the picture library.

    `labels` has the pictures on offer, by id as in the form. `snapshots` has the chosen pictures
    whose files are ready, by field. `missing` has a problem for each field whose picture is gone.
    """

    labels: Mapping[str, str]
    snapshots: Mapping[str, dict[str, Any]]
    missing: Mapping[str, str]


def load_picture_choices(session: Session, form: StoryForm) -> PictureChoices:
    """The newest pictures and those chosen in the form."""
    chosen = _chosen_picture_ids(form)
    known = find_pictures_by_id(session, set(chosen.values()))
    labels = {
        str(picture.id): picture_label(picture)
        for picture in list_picture_choices(session, set(chosen.values()))
    }
    snapshots = {
        field: snapshot_picture(known[picture_id])
        for field, picture_id in chosen.items()
        if picture_id in known and known[picture_id].ready_set
    }
    return PictureChoices(labels, snapshots, _missing_problems(chosen, known))


def find_missing_pictures(session: Session, form: StoryForm) -> dict[str, str]:
    """A problem for each field whose picture is no longer in the library."""
    chosen = _chosen_picture_ids(form)
    return _missing_problems(chosen, find_pictures_by_id(session, set(chosen.values())))


def picture_label(picture: Picture) -> str:
    """A short label for a list: the alt text, else the caption, else the id."""
    name = " ".join((picture.alt or picture.caption or f"Picture {picture.id}").split())
    if len(name) > LONGEST_PICTURE_LABEL:
        name = f"{name[: LONGEST_PICTURE_LABEL - 1].rstrip()}…"
    return f"{name} (being prepared)" if picture.is_preparing else name


def _chosen_picture_ids(form: StoryForm) -> dict[str, int]:
    """The id of the picture chosen in each field."""
    fields = {"picture_id": form.picture_id}
    fields |= {f"sections-{n}-picture": row.picture for n, row in enumerate(form.sections)}
    picture_ids = {field: parse_picture_id(text) for field, text in fields.items()}
    return {
        field: picture_id for field, picture_id in picture_ids.items() if picture_id is not None
    }


def _missing_problems(chosen: Mapping[str, int], known: Mapping[int, Picture]) -> dict[str, str]:
    return {field: PICTURE_GONE for field, picture_id in chosen.items() if picture_id not in known}
