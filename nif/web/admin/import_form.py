"""The form of an import: what an admin chose, and what there is to choose from."""

from collections.abc import Mapping
from dataclasses import dataclass

from nif.errors import Invalid
from nif.importing.models import ImportRun
from nif.importing.picking import Columns
from nif.importing.steering import MORE_CELLS

ENCODINGS = {
    "utf-8": "UTF-8",
    "cp1252": "Western European (Windows-1252)",
    "utf-16-le": "UTF-16, little-endian",
    "utf-16-be": "UTF-16, big-endian",
}
SEPARATORS = {",": "Comma ,", ";": "Semicolon ;", "\t": "Tab", "|": "Bar |"}
SEPARATOR_KEYS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
COLUMNS = {
    "email": ("Address", ""),
    "state": (
        "State",
        "“active”, “unsubscribed”, “true” and the like, as other programs write it.",
    ),
    "since": ("On the list since", "A date such as 2026-11-22; others are not guessed at."),
    "left": ("Left", "A date or a yes means: has left. Nobody becomes a reader by it."),
    "bounced": ("Bounced", "A date or a yes means: mail to this address bounced."),
}
CONFIRMED = {
    "yes": "They confirmed elsewhere that they want this newsletter: they get the next one.",
    "no": "They did not, or nobody knows: they are pending, and get nothing until they confirm.",
}


@dataclass(frozen=True)
class Chosen:
    """As it was chosen; `columns` by name, as numbers in text, empty for none."""

    encoding: str
    separator: str
    has_header: bool
    columns: Mapping[str, str]
    basis: str
    confirmed: str


def filled(run: ImportRun) -> Chosen:
    columns = {
        name: "" if run.columns[name] is None else str(run.columns[name]) for name in COLUMNS
    }
    confirmed = ("yes" if run.confirmed else "no") if run.basis else ""
    return Chosen(run.encoding, run.separator, run.has_header, columns, run.basis, confirmed)


def read(values: Mapping[str, str]) -> Chosen:
    return Chosen(
        encoding=values.get("encoding", ""),
        separator=SEPARATOR_KEYS.get(values.get("separator", ""), ""),
        has_header="has_header" in values,
        columns={name: values.get(f"column_{name}", "") for name in COLUMNS},
        basis=values.get("basis", ""),
        confirmed=values.get("confirmed", ""),
    )


def columns_of(chosen: Chosen) -> Columns:
    """Raises Invalid."""
    numbers = {name: _number(text) for name, text in chosen.columns.items()}
    email = numbers.pop("email")
    if email is None:
        raise Invalid({"column_email": "Say which column holds the addresses."})
    return Columns(email=email, **numbers)


def is_confirmed(chosen: Chosen) -> bool:
    """Raises Invalid."""
    if chosen.confirmed not in CONFIRMED:
        raise Invalid({"confirmed": "Choose one of the two: nobody can guess it."})
    return chosen.confirmed == "yes"


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 4 and int(text) < MORE_CELLS else None
