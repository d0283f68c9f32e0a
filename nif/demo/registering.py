"""Filling the demo newsroom's register."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from sqlalchemy.orm import Session

from nif.register.keeping import PartyCopy, add_party, find_by_name
from nif.register.models import AmountBand, Nature, Ours, PartyKind
from nif.register.relating import Pen, RelationshipCopy, relate


def fill(session: Session, parties: list[Any], people: Mapping[str, int], pen: Pen) -> None:
    """Add parties in the order of the file, each with its relationships.

    `people` has the ids of accounts by their addresses. What is said to be so many days ago is
    dated by the day of loading, so that it is within its look-back.
    """
    for known in parties:
        whole = find_by_name(session, known["part_of"]) if "part_of" in known else None
        copy = PartyCopy(
            name=known["name"],
            kind=PartyKind(known.get("kind", "company")),
            aliases=known.get("aliases", ()),
            parent_id=whole.id if whole else None,
        )
        party = add_party(session, copy, now=pen.now)
        for each in known.get("relationships", ()):
            relate(session, party, _copy(each, people, pen.now.date()), pen)


def _copy(given: dict[str, Any], people: Mapping[str, int], today: date) -> RelationshipCopy:
    days = {
        name: today - timedelta(days=given[f"{name}_days_ago"])
        for name in ("since", "until")
        if f"{name}_days_ago" in given
    }
    plain = ("ours_label", "detail", "since", "until", "evidence_url")
    return RelationshipCopy(
        ours=Ours(given["ours"]),
        nature=Nature(given["nature"]),
        account_id=people.get(given.get("person", "")),
        amount_band=AmountBand(given.get("amount_band", AmountBand.NONE)),
        **{**{name: given[name] for name in plain if name in given}, **days},
    )
