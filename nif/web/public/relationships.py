"""The public register of relationships between NIF and the parties that it writes about."""

from typing import Any

from flask import Blueprint, jsonify, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.register.disclosure_decisions import count_waivers
from nif.register.models import OurSide, RelationshipVisibility
from nif.register.relationship_types import RELATIONSHIP_TYPES
from nif.register.relationships import (
    OurSideRelationships,
    count_relationships,
    list_public_relationships,
)
from nif.stories.models import Story, StoryState
from nif.web.access import Access, page_view
from nif.web.current import settings

blueprint = Blueprint("relationships", __name__)


@page_view(blueprint, Access.PUBLIC, "/relationships")
def index(session: Session) -> str:
    return render_template(
        "public/relationships/index.html",
        register=_read_register(session),
        relationship_types=RELATIONSHIP_TYPES,
    )


@page_view(blueprint, Access.PUBLIC, "/relationships.json")
def index_json(session: Session) -> ResponseReturnValue:
    register = _read_register(session)
    return jsonify(
        day=register["day"].isoformat(),
        relationships=[_side_as_data(name, side) for name, side in register["sides"]],
        withheld=register["withheld"],
        waivers=[
            {**vars(each), "type": each.type.value, "count": each.count}
            for each in register["waivers"]
        ],
    )


def _read_register(session: Session) -> dict[str, Any]:
    """Today's public register: relationships by our side, how many are withheld, waivers."""
    today = utc_now().date()
    published = select(Story.id).where(Story.state == StoryState.PUBLISHED)
    sides = list_public_relationships(session, on=today)
    return {
        "day": today,
        "sides": [(_side_name(side), side) for side in sides],
        "withheld": count_relationships(session, RelationshipVisibility.MATCH_ONLY, on=today),
        "waivers": count_waivers(session, stories=published),
    }


def _side_name(side: OurSideRelationships) -> str:
    names = {OurSide.NIF: settings().site_short_name, OurSide.OWNER: settings().owner_name}
    return names.get(side.our_side, side.name)


def _side_as_data(name: str, side: OurSideRelationships) -> dict[str, Any]:
    today = utc_now().date()
    return {
        "our_side": {"kind": side.our_side.value, "name": name},
        "with": [
            {
                "party": {"name": each.party.name, "kind": each.party.kind.value},
                "type": each.type.value,
                "since": each.since.isoformat() if each.since else None,
                "until": each.until.isoformat() if each.until else None,
                "sentence": each.sentence_on(today),
            }
            for each in side.relationships
        ],
    }
