"""What the ledger holds of the register: each public relationship as it began, changed and ended.

What is told only where a story names the party stays out of it, as it stays off every list.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy.orm import Session

from nif.ledger.chaining import append
from nif.ledger.models import Kind
from nif.register.models import Ours, Relationship, Visibility
from nif.register.wording import House

Public = Mapping[str, Any] | None
"""What everyone may know of a relationship; None where it is on no list."""


def in_public(relationship: Relationship, house: House, on: date) -> Public:
    """What everyone may know of a relationship on a day."""
    is_told = relationship.last_day is None or relationship.last_day >= on
    if relationship.visibility is not Visibility.PUBLIC or not is_told:
        return None
    names = {Ours.NIF: house.name, Ours.OWNER: house.owner}
    return {
        "ours": {
            "kind": relationship.ours.value,
            "name": names.get(relationship.ours, relationship.ours_label),
        },
        "party": {"name": relationship.party.name, "kind": relationship.party.kind.value},
        "nature": relationship.nature.value,
        "since": _day(relationship.since),
        "until": _day(relationship.until),
        "sentence": relationship.says(on),
    }


def write_down(
    session: Session, relationship: Relationship, before: Public, house: House, *, now: datetime
) -> None:
    """Put what readers can see of a change at the end of the ledger, last in its transaction.

    `before` is what they could see until now. A change that they cannot see is no entry.
    """
    after = in_public(relationship, house, now.date())
    if after is not None:
        act = _act(before, after)
        if act:
            _append(session, relationship, act, after, now=now)
    elif before is not None and relationship.visibility is Visibility.PUBLIC:
        over = {**before, "until": _day(relationship.until)}
        _append(session, relationship, "ended", over, now=now)
    elif before is not None:
        withdraw(session, relationship, now=now)


def withdraw(session: Session, relationship: Relationship, *, now: datetime) -> None:
    """Say that a relationship is on the public list no more, and no word more about it."""
    _append(session, relationship, "withdrawn", {}, now=now)


def _act(before: Public, after: Mapping[str, Any]) -> str:
    """What was done, in a word; empty where readers see what they saw before."""
    if before is None:
        return "added"
    if before == after:
        return ""
    return "ended" if after["until"] and not before["until"] else "changed"


def _append(
    session: Session,
    relationship: Relationship,
    act: str,
    said: Mapping[str, Any],
    *,
    now: datetime,
) -> None:
    payload = {"act": act, "relationship": relationship.id, **said}
    append(session, Kind.RELATIONSHIP, payload, now=now)


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None
