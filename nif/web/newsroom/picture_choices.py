"""The pictures that a form chooses among: their names, those chosen now, and what is amiss."""

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
    """What a form needs of the library.

    `names` are those to choose among, by id as it stands in the form; `records` the frozen pictures
    that are chosen now and whose files are there, by field; `gone` is what is wrong, by field.
    """

    names: Mapping[str, str]
    records: Mapping[str, dict[str, Any]]
    gone: Mapping[str, str]


def load_picture_choices(session: Session, form: StoryForm) -> PictureChoices:
    """The newest pictures, and those that the form has chosen."""
    chosen = _chosen_picture_ids(form)
    known = find_pictures_by_id(session, set(chosen.values()))
    offered = {
        str(one.id): picture_label(one)
        for one in list_picture_choices(session, set(chosen.values()))
    }
    records = {
        field: snapshot_picture(known[one])
        for field, one in chosen.items()
        if one in known and known[one].made
    }
    return PictureChoices(offered, records, _missing_problems(chosen, known))


def find_missing_pictures(session: Session, form: StoryForm) -> dict[str, str]:
    """The fields whose picture is not in the library any more, each with a sentence."""
    chosen = _chosen_picture_ids(form)
    return _missing_problems(chosen, find_pictures_by_id(session, set(chosen.values())))


def picture_label(picture: Picture) -> str:
    """What a picture is called in a list: what it shows, else its caption, and never at length."""
    name = " ".join((picture.alt or picture.caption or f"Picture {picture.id}").split())
    if len(name) > LONGEST_PICTURE_LABEL:
        name = f"{name[: LONGEST_PICTURE_LABEL - 1].rstrip()}…"
    return f"{name} (being prepared)" if picture.is_preparing else name


def _chosen_picture_ids(form: StoryForm) -> dict[str, int]:
    """Each field in which a picture is chosen, and the picture's id."""
    fields = {"picture_id": form.picture_id}
    fields |= {f"sections-{n}-picture": row.picture for n, row in enumerate(form.sections)}
    found = {field: parse_picture_id(text) for field, text in fields.items()}
    return {field: one for field, one in found.items() if one is not None}


def _missing_problems(chosen: Mapping[str, int], known: Mapping[int, Picture]) -> dict[str, str]:
    return {field: PICTURE_GONE for field, one in chosen.items() if one not in known}
