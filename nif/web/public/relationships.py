"""What stands between the parties that NIF writes about and NIF itself, for everyone to see."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from flask import Blueprint, jsonify, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from nif.clock import utc_now
from nif.register.deciding import Waived, waivers_in_public
from nif.register.models import Ours
from nif.register.natures import NATURES
from nif.register.reading import Side, in_public, withheld
from nif.stories.models import Story, StoryState
from nif.web.access import Access, open_to
from nif.web.current import reading, settings

blueprint = Blueprint("relationships", __name__)


@dataclass(frozen=True)
class Register:
    """What readers may see on a day: who on our side, how many are withheld, what was waived."""

    day: date
    sides: list[tuple[str, Side]]
    withheld: int
    waivers: list[Waived]


@blueprint.get("/relationships")
@open_to(Access.PUBLIC)
def index() -> ResponseReturnValue:
    return render_template("public/relationships/index.html", register=_register(), natures=NATURES)


@blueprint.get("/relationships.json")
@open_to(Access.PUBLIC)
def as_json() -> ResponseReturnValue:
    register = _register()
    return jsonify(
        day=register.day.isoformat(),
        relationships=[_record(name, side) for name, side in register.sides],
        withheld=register.withheld,
        waivers=[
            {**vars(each), "nature": each.nature.value, "count": each.count}
            for each in register.waivers
        ],
    )


def _register() -> Register:
    today = utc_now().date()
    published = select(Story.id).where(Story.state == StoryState.PUBLISHED)
    with reading() as session:
        return Register(
            day=today,
            sides=[(_name(side), side) for side in in_public(session, on=today)],
            withheld=withheld(session, on=today),
            waivers=waivers_in_public(session, stories=published),
        )


def _name(side: Side) -> str:
    names = {Ours.NIF: settings().site_short_name, Ours.OWNER: settings().owner_name}
    return names.get(side.ours, side.name)


def _record(name: str, side: Side) -> dict[str, Any]:
    today = utc_now().date()
    return {
        "ours": {"kind": side.ours.value, "name": name},
        "with": [
            {
                "party": {"name": each.party.name, "kind": each.party.kind.value},
                "nature": each.nature.value,
                "since": each.since.isoformat() if each.since else None,
                "until": each.until.isoformat() if each.until else None,
                "sentence": each.says(today),
            }
            for each in side.relationships
        ],
    }
