"""The form of an import: what an admin chose, and what there is to choose from."""

from collections.abc import Mapping
from dataclasses import dataclass

from nif.errors import Invalid
from nif.imports.column_mapping import ColumnMapping
from nif.imports.imports import MAX_PREVIEW_COLUMNS
from nif.imports.models import ImportRun

ENCODING_LABELS = {
    "utf-8": "UTF-8",
    "cp1252": "Western European (Windows-1252)",
    "utf-16-le": "UTF-16, little-endian",
    "utf-16-be": "UTF-16, big-endian",
}
SEPARATOR_LABELS = {",": "Comma ,", ";": "Semicolon ;", "\t": "Tab", "|": "Bar |"}
SEPARATOR_KEYS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
COLUMN_LABELS = {
    "email": ("Address", ""),
    "status": (
        "Status",
        "“active”, “unsubscribed”, “true” and the like, as other programs write it.",
    ),
    "subscribed_at": ("On the list since", "A date such as 2026-11-22; others are not guessed at."),
    "unsubscribed": (
        "Unsubscribed",
        "A date or a yes means: has left. Nobody becomes a reader by it.",
    ),
    "bounced": ("Bounced", "A date or a yes means: mail to this address bounced."),
}
CONFIRMED_LABELS = {
    "yes": "They confirmed elsewhere that they want this newsletter: they get the next one.",
    "no": "They did not, or nobody knows: they are pending, and get nothing until they confirm.",
}


@dataclass(frozen=True)
class ImportChoices:
    """As it was chosen; `columns` by name, as numbers in text, empty for none."""

    encoding: str
    separator: str
    has_header: bool
    columns: Mapping[str, str]
    consent_source: str
    confirmed: str


def import_choices_of(run: ImportRun) -> ImportChoices:
    columns = {
        name: "" if run.columns[name] is None else str(run.columns[name]) for name in COLUMN_LABELS
    }
    confirmed = ("yes" if run.confirmed_elsewhere else "no") if run.consent_source else ""
    return ImportChoices(
        run.encoding, run.separator, run.has_header, columns, run.consent_source, confirmed
    )


def read_import_choices(values: Mapping[str, str]) -> ImportChoices:
    return ImportChoices(
        encoding=values.get("encoding", ""),
        separator=SEPARATOR_KEYS.get(values.get("separator", ""), ""),
        has_header="has_header" in values,
        columns={name: values.get(f"column_{name}", "") for name in COLUMN_LABELS},
        consent_source=values.get("consent_source", ""),
        confirmed=values.get("confirmed", ""),
    )


def read_column_mapping(chosen: ImportChoices) -> ColumnMapping:
    """Raises Invalid."""
    numbers = {name: _read_column_number(text) for name, text in chosen.columns.items()}
    email = numbers.pop("email")
    if email is None:
        raise Invalid({"column_email": "Say which column holds the addresses."})
    return ColumnMapping(email=email, **numbers)


def read_confirmed(chosen: ImportChoices) -> bool:
    """Raises Invalid."""
    if chosen.confirmed not in CONFIRMED_LABELS:
        raise Invalid({"confirmed": "Choose one of the two: nobody can guess it."})
    return chosen.confirmed == "yes"


def _read_column_number(text: str) -> int | None:
    return (
        int(text)
        if text.isdecimal() and len(text) < 4 and int(text) < MAX_PREVIEW_COLUMNS
        else None
    )
