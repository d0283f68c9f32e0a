"""A ledger with a few entries, and a key to sign it with."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from nif.database import Database
from nif.ledger.chain import append_entry
from nif.ledger.checkpoints import create_checkpoint
from nif.ledger.models import LedgerCheckpoint, LedgerEntryKind
from nif.ledger.queries import LiveRecords, encode_export_line, load_ledger_slice
from tests.conftest import NOON

STORY_ID = "0a1b2c3d4e5f6071"
"""The id by which these ledgers name their story."""

Sign = Callable[..., LedgerCheckpoint | None]


def payload(number: int) -> dict[str, Any]:
    """The payload of entry `number` of the test ledgers."""
    return {"headline": f"Headline {number}", "revision": number, "tags": ["a", "ü", "😀"]}


def some_entries(session: Session, count: int) -> None:
    for number in range(1, count + 1):
        append_entry(
            session,
            LedgerEntryKind.PUBLISH if number == 1 else LedgerEntryKind.UPDATE,
            payload(number),
            story=STORY_ID,
            revision=number,
            now=NOON + timedelta(hours=number),
        )


def export_of(database: Database) -> list[bytes]:
    """The lines of the export."""
    with database.reading() as session:
        return [
            encode_export_line(line)
            for line in load_ledger_slice(session, after=0, most=10_000).in_order()
        ]


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "ledger_key.pem"


@pytest.fixture
def sign(session: Session, key_file: Path) -> Sign:
    """Signs the ledger of the test's session."""

    def sign(**given: Any) -> LedgerCheckpoint | None:
        terms = {"may_make_key": True, "now": NOON, **given}
        return create_checkpoint(session, terms.pop("key_file", key_file), **terms)

    return sign


def live_records(payloads: Mapping[int, Any]) -> LiveRecords:
    """What live records say today, by the numbers of their entries."""
    return lambda entries: [
        (entry.seq, payloads[entry.seq]) for entry in entries if entry.seq in payloads
    ]
