"""The export of a person's data, for access and portability (GDPR Art. 15 and 20)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from nif.privacy.consent_receipts import list_consent_receipts
from nif.privacy.data_map import DATA_MAP, ExportedRows, Person
from nif.subscriptions.suppression_list import is_erased_address


@dataclass(frozen=True)
class ExportSection:
    table: str
    description: str
    rows: ExportedRows


def export_sections(session: Session, person: Person) -> list[ExportSection]:
    """What each table holds of a person. Tables without rows of them are included, because that is
    an answer too; those that cannot be searched by person are not (`list_unexported_tables`)."""
    return [
        ExportSection(entry.table, entry.description, entry.export(session, person))
        for entry in reversed(DATA_MAP)
        if entry.exported is not None
    ]


def list_unexported_tables() -> list[str]:
    """The descriptions of tables that may contain an address in a text or hashed."""
    return [entry.description for entry in reversed(DATA_MAP) if entry.exported is None]


def export_person(session: Session, person: Person, *, now: datetime) -> dict[str, Any]:
    """Everything that is known about a person, as one JSON document."""
    tables = {
        section.table: [_serialize_row(row) for row in section.rows]
        for section in export_sections(session, person)
    }
    return {
        "address": person.canonical,
        "exported_at": _serialize_value(now),
        "erased": is_erased_address(session, person.canonical),
        "known": any(tables.values()),
        "tables": tables,
        "not_exported": list_unexported_tables(),
    }


def export_receipts(session: Session, person: Person, *, now: datetime) -> dict[str, Any]:
    """The consent receipts of a person, as one JSON document."""
    receipts = [_serialize_row(row) for row in list_consent_receipts(session, person.id)]
    return {"address": person.canonical, "exported_at": _serialize_value(now), "receipts": receipts}


def _serialize_row(row: dict[str, Any]) -> dict[str, Any]:
    return {name: _serialize_value(value) for name, value in row.items()}


def _serialize_value(value: Any) -> Any:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value
