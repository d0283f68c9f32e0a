"""Which column means what, and parsing rows by it; the column names and words of other programs."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from nif.errors import Invalid
from nif.imports.csv_reader import CsvRecord, UnreadableRow
from nif.mail.addresses import EmailAddress, parse_address
from nif.spreadsheets import unescape_formula

INVISIBLE_CHARACTERS = ' \t\r\n\xa0\u200b\u200c\u200d\u2060\ufeff"'


class StatedStatus(StrEnum):
    SUBSCRIBED = "subscribed"
    PENDING = "pending"
    UNSUBSCRIBED = "unsubscribed"
    BOUNCED = "bounced"
    COMPLAINED = "complained"


DO_NOT_MAIL_STATUSES = {StatedStatus.UNSUBSCRIBED, StatedStatus.BOUNCED, StatedStatus.COMPLAINED}

COLUMN_NAMES: Mapping[str, tuple[str, ...]] = {
    "email": (
        *("email", "email address", "e-mail", "e-mail address", "email_address", "address"),
        *("subscriber", "mail", "e-mail-adresse", "adresse e-mail", "correo electrónico"),
    ),
    "status": (
        *("state", "status", "subscribed_to_emails", "subscription_status", "subscriber_type"),
        *("type", "email status"),
    ),
    "subscribed_at": (
        *("confirmed_at", "confirm_time", "optin_time", "subscribed_at", "subscribed at"),
        *("created_at", "creation_date", "start date", "subscription date", "created at"),
    ),
    "unsubscribed": (
        *("left_at", "unsub_time", "unsubscribed_at", "unsubscription_date", "unsubscribed"),
        *("email_disabled", "unsubscribe date"),
    ),
    "bounced": ("clean_time", "bounced_at", "bounced", "undeliverable_at", "suppressed"),
}
"""Known column names in lower case. If a file has several for a meaning, the first one wins."""

VENDOR_HEADERS: Mapping[str, frozenset[str]] = {
    "Mailchimp": frozenset({"email address", "leid", "euid"}),
    "Ghost": frozenset({"email", "subscribed_to_emails"}),
    "Substack": frozenset({"email", "active_subscription", "email_disabled"}),
    "Substack ": frozenset({"email", "stripe plan", "start date"}),
    "Buttondown": frozenset({"email", "creation_date", "referrer_url"}),
    "listmonk": frozenset({"uuid", "email", "attributes", "status"}),
    "beehiiv": frozenset({"email", "status", "created_at", "subscription_tier"}),
    "beehiiv ": frozenset({"email", "status", "utm_source"}),
    "NIF": frozenset({"address", "state", "requested_at", "confirmed_at", "unsubscribed_at"}),
}
"""Column names by which a program's export is recognised: no other export has all of them."""

NEGATIVE_WORDS = frozenset({"", "0", "no", "n", "false", "f", "none", "null", "never", "-"})

STATUS_WORDS: Mapping[str, StatedStatus] = {
    word: status
    for status, words in {
        StatedStatus.SUBSCRIBED: (
            "subscribed active enabled confirmed true yes 1 regular premium gifted trialed "
            "churning churned past_due unpaid paid free comped paused"
        ),
        StatedStatus.PENDING: "pending unconfirmed unactivated validating upcoming",
        StatedStatus.UNSUBSCRIBED: (
            "left unsubscribed inactive disabled false no 0 removed archived blocklisted blocked "
            "deleted non-subscribed nonsubscribed"
        ),
        StatedStatus.BOUNCED: "bounced cleaned undeliverable invalid hard_bounced",
        StatedStatus.COMPLAINED: "complained spam spammy abuse spam_report",
    }.items()
    for word in words.split()
}

UNMISTAKABLE_STATUS_WORDS = {
    *("subscribed", "unsubscribed", "non-subscribed", "unconfirmed", "pending"),
    *("cleaned", "bounced", "complained"),
}
"""Words that identify a status column whatever its name is."""


def find_vendor(header: Sequence[str]) -> str | None:
    """The program whose export has this header; None if unknown."""
    names = {normalize_word(name) for name in header}
    found = next((vendor for vendor, marks in VENDOR_HEADERS.items() if marks <= names), None)
    return found.strip() if found else None


@lru_cache(1000)
def find_stated_status(word: str) -> StatedStatus | None:
    return STATUS_WORDS.get(normalize_word(word))


def normalize_word(name: str) -> str:
    """Strip invisible characters and lower-case, for looking a word up."""
    return name.strip(INVISIBLE_CHARACTERS).lower()


MAX_CELL_SHOWN = 80
"""Characters of a cell shown in a report."""

_TO_THE_SECOND = len("2026-01-01 12:00:00")
_IN_BRACKETS = re.compile(r"<([^<>]+)>\s*\Z")


@dataclass(frozen=True)
class ColumnMapping:
    """The column of each meaning, counted from 0; None if the file has no such column.

    In `unsubscribed` and `bounced`, any value except a negative word means yes; a date says since
    when.
    """

    email: int
    status: int | None = None
    subscribed_at: int | None = None
    unsubscribed: int | None = None
    bounced: int | None = None


class ParsedRow(NamedTuple):
    """A parsed row. `code` says why it is rejected, with the text `cell`; it is empty otherwise."""

    line: int
    address: EmailAddress | None = None
    status: StatedStatus = StatedStatus.SUBSCRIBED
    subscribed_at: datetime | None = None
    ended_at: datetime | None = None
    code: str = ""
    cell: str = ""


def propose_column_mapping(rows: Sequence[Sequence[str]]) -> tuple[ColumnMapping, bool]:
    """Propose a mapping from a file's first rows, and whether the first of them is a header.

    Raises Invalid, for the field `file`, if no column holds addresses.
    """
    first = rows[0] if rows else []
    has_header = not any(_is_address(cell) for cell in first)
    found = _find_columns_by_name(first) if has_header else {}
    others = rows[has_header:]
    status = found.get("status")
    if status is not None and not any(
        find_stated_status(_text_of_cell(row, status)) for row in others
    ):
        # The column has such a name but holds something else, such as "html" under "type".
        del found["status"]
    if "status" not in found:
        found |= _find_status_column(others, set(found.values()))
    email = _find_email_column(others, found.get("email"))
    if email is None:
        raise Invalid({"file": "There is no column of email addresses in this file."})
    return ColumnMapping(**{**found, "email": email}), has_header


def _find_status_column(rows: Sequence[Sequence[str]], taken: Collection[int]) -> dict[str, int]:
    """A column of nothing but status words, under an unknown name.

    Without it, subscribers who unsubscribed elsewhere would be imported as subscribed.
    """
    for column in set(range(max(map(len, rows), default=0))) - set(taken):
        words = {normalize_word(_text_of_cell(row, column)) for row in rows} - {""}
        if words & UNMISTAKABLE_STATUS_WORDS and all(map(find_stated_status, words)):
            return {"status": column}
    return {}


def parse_row(record: CsvRecord, columns: ColumnMapping) -> ParsedRow:
    line, cells = record
    if isinstance(cells, UnreadableRow):
        return _invalid_row(line, cells.code, cells.cell)
    if len(cells) <= columns.email:
        return _invalid_row(line, "short", ", ".join(cells))
    cell = cells[columns.email]
    address = parse_address_cell(cell)
    if address is None:
        return _invalid_row(line, "address" if cell.strip(INVISIBLE_CHARACTERS) else "empty", cell)
    if columns.status is columns.unsubscribed is columns.bounced is columns.subscribed_at is None:
        return ParsedRow(line, address)
    return _parse_statuses(line, address, cells, columns)


def parse_address_cell(cell: str) -> EmailAddress | None:
    """The address in a cell, also as `Name <address>` or escaped for spreadsheets; or None."""
    if cell.startswith("'"):
        cell = unescape_formula(cell)
    try:
        return parse_address(cell)
    except Invalid:
        cell = cell.strip(INVISIBLE_CHARACTERS)
    bracketed = _IN_BRACKETS.search(cell)
    try:
        return parse_address(bracketed[1] if bracketed else cell)
    except Invalid:
        return None


def parse_import_moment(text: str) -> datetime | None:
    """A moment in ISO 8601, in UTC if it names no time zone; None for anything else.

    Ambiguous dates such as 03/04/2026 are not guessed.
    """
    text = text.strip().removesuffix(" UTC")
    if len(text) < len("2026-01-01"):
        return None
    try:
        moment = datetime.fromisoformat(f"{text}+00:00" if len(text) == _TO_THE_SECOND else text)
    except ValueError:
        return None
    if not 1990 <= moment.year <= 9000:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _parse_statuses(
    line: int, address: EmailAddress, cells: list[str], columns: ColumnMapping
) -> ParsedRow:
    status, ended_at = StatedStatus.SUBSCRIBED, None
    if columns.status is not None:
        word = _text_of_cell(cells, columns.status)
        stated = find_stated_status(word)
        if stated is None:
            return _invalid_row(line, "status", word)
        status = stated
    for column, meaning in (
        (columns.unsubscribed, StatedStatus.UNSUBSCRIBED),
        (columns.bounced, StatedStatus.BOUNCED),
    ):
        text = _text_of_cell(cells, column)
        is_stated = normalize_word(text) not in NEGATIVE_WORDS
        if is_stated and status is not StatedStatus.COMPLAINED:
            status, ended_at = meaning, parse_import_moment(text)
    subscribed_at = parse_import_moment(_text_of_cell(cells, columns.subscribed_at))
    return ParsedRow(line, address, status, subscribed_at, ended_at)


def shorten_cell(cell: str) -> str:
    """A cell as a report shows it: printable, and at most MAX_CELL_SHOWN characters."""
    text = "".join(ch if ch.isprintable() else " " for ch in cell[: MAX_CELL_SHOWN + 1]).strip()
    return text if len(text) <= MAX_CELL_SHOWN else f"{text[: MAX_CELL_SHOWN - 1]}…"


def _invalid_row(line: int, code: str, cell: str) -> ParsedRow:
    return ParsedRow(line, code=code, cell=shorten_cell(cell))


def _text_of_cell(cells: Sequence[str], column: int | None) -> str:
    """The cell of a column; empty where there is none."""
    return "" if column is None or column >= len(cells) else unescape_formula(cells[column])


def _is_address(cell: str) -> bool:
    return "@" in cell and parse_address_cell(cell) is not None


def _find_columns_by_name(header: Sequence[str]) -> dict[str, int]:
    names = [normalize_word(name) for name in header]
    # The first of several wins, because it is entered last.
    return {
        meaning: names.index(name)
        for meaning, candidates in COLUMN_NAMES.items()
        for name in reversed(candidates)
        if name in names
    }


def _find_email_column(rows: Sequence[Sequence[str]], named: int | None) -> int | None:
    """The column with the most addresses; the one named as such wins unless it holds few."""
    counts = Counter(
        column for row in rows for column, cell in enumerate(row[:100]) if _is_address(cell)
    )
    if named is not None:
        counts[named] += len(rows) // 2 + 1
    return max(counts, key=lambda column: counts[column], default=None)
