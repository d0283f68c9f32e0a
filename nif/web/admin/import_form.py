"""The form of an import: file layout, column mapping and consent source."""

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
        "“active”, “unsubscribed”, “true” and the like, as other programs export it.",
    ),
    "subscribed_at": (
        "On the list since",
        "A date such as 2026-11-22. Other formats are not guessed.",
    ),
    "unsubscribed": ("Unsubscribed", "A date or a yes: unsubscribed. It never subscribes anyone."),
    "bounced": ("Bounced", "A date or a yes: mail to this address bounced."),
}
CONFIRMED_LABELS = {
    "yes": "Yes, they confirmed elsewhere. They receive the next edition.",
    "no": "No, or it is not known. They are pending and receive nothing until they confirm.",
}


@dataclass(frozen=True)
class ImportChoices:
    """The form as submitted. `columns` maps names to column numbers as text; empty means none."""

    encoding: str
    separator: str
    has_header: bool
    columns: Mapping[str, str]
    consent_source: str
    confirmed: str


def import_choices_of(import_run: ImportRun) -> ImportChoices:
    columns = {
        name: "" if import_run.columns[name] is None else str(import_run.columns[name])
        for name in COLUMN_LABELS
    }
    confirmed = (
        ("yes" if import_run.confirmed_elsewhere else "no") if import_run.consent_source else ""
    )
    return ImportChoices(
        import_run.encoding,
        import_run.separator,
        import_run.has_header,
        columns,
        import_run.consent_source,
        confirmed,
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


def read_column_mapping(choices: ImportChoices) -> ColumnMapping:
    """Raises Invalid without a column of addresses."""
    numbers = {name: _read_column_number(text) for name, text in choices.columns.items()}
    email = numbers.pop("email")
    if email is None:
        raise Invalid({"column_email": "Choose the column with the addresses."})
    return ColumnMapping(email=email, **numbers)


def read_confirmed(choices: ImportChoices) -> bool:
    """Whether they confirmed elsewhere. Raises Invalid without an answer."""
    if choices.confirmed not in CONFIRMED_LABELS:
        raise Invalid({"confirmed": "Choose one of the two answers."})
    return choices.confirmed == "yes"


def _read_column_number(text: str) -> int | None:
    return (
        int(text)
        if text.isdecimal() and len(text) < 4 and int(text) < MAX_PREVIEW_COLUMNS
        else None
    )
