"""Everything that is known about a person, as they may have it (GDPR Art. 15 and 20)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from nif.privacy.consent_receipts import list_consent_receipts
from nif.privacy.data_map import DATA_MAP, ExportedRows
from nif.privacy.person import Person
from nif.subscriptions.suppression_list import is_erased_address


@dataclass(frozen=True)
class ExportSection:
    table: str
    what: str
    rows: ExportedRows


def export_sections(session: Session, person: Person) -> list[ExportSection]:
    """What each table holds of a person; those with nothing too, for that is an answer as well.

    Not those that hold an address in passing and by no person: `in_passing` names them.
    """
    shown = ((one, one.show) for one in reversed(DATA_MAP))
    return [
        ExportSection(one.table, one.what, show(session, person)) for one, show in shown if show
    ]


def list_unexported_tables() -> list[str]:
    """Where an address may stand for a while, in words or hashed, and cannot be shown."""
    return [one.what for one in reversed(DATA_MAP) if one.show is None]


def export_person(session: Session, person: Person, *, now: datetime) -> dict[str, Any]:
    """The same as one document, as JSON says it."""
    found = {
        one.table: [_serialize_row(row) for row in one.rows]
        for one in export_sections(session, person)
    }
    return {
        "address": person.canonical,
        "exported_at": _serialize_value(now),
        "erased": is_erased_address(session, person.canonical),
        "known": any(found.values()),
        "holdings": found,
        "in_passing": list_unexported_tables(),
    }


def export_receipts(session: Session, person: Person, *, now: datetime) -> dict[str, Any]:
    """The receipts alone, as one document."""
    found = [_serialize_row(one) for one in list_consent_receipts(session, person.id)]
    return {"address": person.canonical, "exported_at": _serialize_value(now), "receipts": found}


def _serialize_row(row: dict[str, Any]) -> dict[str, Any]:
    return {name: _serialize_value(value) for name, value in row.items()}


def _serialize_value(value: Any) -> Any:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value
