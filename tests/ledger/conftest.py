"""A ledger with a few entries, and a key to sign it with."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from nif.database import Database
from nif.ledger.chaining import append
from nif.ledger.checkpointing import checkpoint
from nif.ledger.models import Checkpoint, Kind
from nif.ledger.reading import in_json, stretch
from tests.conftest import NOON

Sign = Callable[..., Checkpoint | None]


def payload(number: int) -> dict[str, Any]:
    """What entry `number` of the ledgers here is about."""
    return {"headline": f"Headline {number}", "revision": number, "tags": ["a", "ü", "😀"]}


def some_entries(session: Session, count: int) -> None:
    for number in range(1, count + 1):
        append(
            session,
            Kind.PUBLISH if number == 1 else Kind.UPDATE,
            payload(number),
            story="a-story",
            revision=number,
            now=NOON + timedelta(hours=number),
        )


def export_of(database: Database) -> list[bytes]:
    """The lines of the export."""
    with database.reading() as session:
        return [in_json(one) for one in stretch(session, after=0, most=10_000).in_order()]


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "ledger_key.pem"


@pytest.fixture
def sign(session: Session, key_file: Path) -> Sign:
    """Signs the ledger of the test's session."""

    def sign(**given: Any) -> Checkpoint | None:
        terms = {"may_make_key": True, "now": NOON, **given}
        return checkpoint(session, terms.pop("key_file", key_file), **terms)

    return sign
