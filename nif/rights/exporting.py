"""Everything that is known about a person, as they may have it (GDPR Art. 15 and 20)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from nif.rights.catalogue import HOLDINGS
from nif.rights.holdings import Rows
from nif.rights.people import Person
from nif.rights.receipts import receipts
from nif.subscriptions.forgetting import is_erased


@dataclass(frozen=True)
class Section:
    table: str
    what: str
    rows: Rows


def everything(session: Session, person: Person) -> list[Section]:
    """What each table holds of a person; those with nothing too, for that is an answer as well.

    Not those that hold an address in passing and by no person: `in_passing` names them.
    """
    shown = ((one, one.show) for one in reversed(HOLDINGS))
    return [Section(one.table, one.what, show(session, person)) for one, show in shown if show]


def in_passing() -> list[str]:
    """Where an address may stand for a while, in words or hashed, and cannot be shown."""
    return [one.what for one in reversed(HOLDINGS) if one.show is None]


def as_data(session: Session, person: Person, *, now: datetime) -> dict[str, Any]:
    """The same as one document, as JSON says it."""
    found = {one.table: [_plain(row) for row in one.rows] for one in everything(session, person)}
    return {
        "address": person.canonical,
        "exported_at": _as_text(now),
        "erased": is_erased(session, person.canonical),
        "known": any(found.values()),
        "holdings": found,
        "in_passing": in_passing(),
    }


def receipts_as_data(session: Session, person: Person, *, now: datetime) -> dict[str, Any]:
    """The receipts alone, as one document."""
    found = [_plain(one) for one in receipts(session, person.id)]
    return {"address": person.canonical, "exported_at": _as_text(now), "receipts": found}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: _as_text(value) for name, value in row.items()}


def _as_text(value: Any) -> Any:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value
