"""The pictures that a form chooses among: their names, those chosen now, and what is amiss."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from nif.media.freezing import frozen
from nif.media.models import Picture
from nif.media.reading import by_id, choices
from nif.stories.picturing import GONE
from nif.web.newsroom.story_form import StoryForm, picture_id

LONGEST_NAME = 70


@dataclass(frozen=True)
class Shelf:
    """What a form needs of the library.

    `names` are those to choose among, by id as it stands in the form; `records` the frozen pictures
    that are chosen now and whose files are there, by field; `gone` is what is wrong, by field.
    """

    names: Mapping[str, str]
    records: Mapping[str, dict[str, Any]]
    gone: Mapping[str, str]


def shelf_for(session: Session, form: StoryForm) -> Shelf:
    """The newest pictures, and those that the form has chosen."""
    chosen = _chosen(form)
    known = by_id(session, set(chosen.values()))
    offered = {str(one.id): name_of(one) for one in choices(session, set(chosen.values()))}
    records = {
        field: frozen(known[one])
        for field, one in chosen.items()
        if one in known and known[one].made
    }
    return Shelf(offered, records, _gone(chosen, known))


def gone(session: Session, form: StoryForm) -> dict[str, str]:
    """The fields whose picture is not in the library any more, each with a sentence."""
    chosen = _chosen(form)
    return _gone(chosen, by_id(session, set(chosen.values())))


def name_of(picture: Picture) -> str:
    """What a picture is called in a list: what it shows, else its caption, and never at length."""
    name = " ".join((picture.alt or picture.caption or f"Picture {picture.id}").split())
    if len(name) > LONGEST_NAME:
        name = f"{name[: LONGEST_NAME - 1].rstrip()}…"
    return f"{name} (being prepared)" if picture.is_preparing else name


def _chosen(form: StoryForm) -> dict[str, int]:
    """Each field in which a picture is chosen, and the picture's id."""
    fields = {"picture_id": form.picture_id}
    fields |= {f"sections-{n}-picture": row.picture for n, row in enumerate(form.sections)}
    found = {field: picture_id(text) for field, text in fields.items()}
    return {field: one for field, one in found.items() if one is not None}


def _gone(chosen: Mapping[str, int], known: Mapping[int, Picture]) -> dict[str, str]:
    return {field: GONE for field, one in chosen.items() if one not in known}
