"""Entries form one chain, also under concurrency, and are rolled back with their transaction."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.database import Database
from nif.ledger.chain import append_entry
from nif.ledger.models import LedgerEntry, LedgerEntryKind
from nif.ledger.payloads import GENESIS_HASH
from nif.ledger.queries import find_chain_end, find_footer_root, verify_ledger
from tests.conftest import NOON
from tests.ledger.conftest import payload, some_entries


def test_each_entry_contains_the_hash_of_the_one_before(session: Session) -> None:
    some_entries(session, 3)

    entries = session.scalars(select(LedgerEntry).order_by(LedgerEntry.seq)).all()
    assert [entry.seq for entry in entries] == [1, 2, 3]
    assert [entry.prev for entry in entries] == [GENESIS_HASH, *[e.entry_hash for e in entries[:2]]]
    assert [entry.kind for entry in entries] == [
        LedgerEntryKind.PUBLISH,
        LedgerEntryKind.UPDATE,
        LedgerEntryKind.UPDATE,
    ]
    assert find_chain_end(session) == (3, entries[2].entry_hash)
    assert verify_ledger(session).is_whole


def test_an_entry_has_whole_seconds_and_its_own_salt(session: Session) -> None:
    moment = NOON + timedelta(seconds=1.9)

    first, second = (
        append_entry(session, LedgerEntryKind.POLICY, payload(1), now=moment) for _ in range(2)
    )

    assert first.at == NOON + timedelta(seconds=1)
    assert first.commitment != second.commitment
    assert first.salt is not None
    assert len(first.salt) == 32
    assert (first.story, first.revision) == (None, None)


def test_a_rolled_back_entry_was_never_recorded(database: Database) -> None:
    with database.transaction() as session:
        some_entries(session, 1)
    with Session(database.engine) as session:
        some_entries(session, 2)
        session.rollback()
    with database.transaction() as session:
        append_entry(session, LedgerEntryKind.REPORT, payload(2), now=NOON)

    with database.reading() as session:
        assert (verify_ledger(session).is_whole, verify_ledger(session).entries) == (True, 2)


def test_a_payload_that_cannot_be_stored_is_refused(session: Session) -> None:
    with pytest.raises(ValueError, match="NUL"):
        append_entry(session, LedgerEntryKind.REPORT, {"text": "a\0b"}, now=NOON)


def test_concurrent_appends_make_one_chain(database: Database) -> None:
    together = Barrier(2)

    def work(_: int) -> None:
        together.wait()
        for number in range(10):
            with database.transaction() as session:
                append_entry(session, LedgerEntryKind.UPDATE, payload(number), now=NOON)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(work, range(2)))

    with database.reading() as session:
        verdict = verify_ledger(session)
    assert (verdict.is_whole, verdict.entries) == (True, 20)


def test_the_footer_shows_the_newest_entry(session: Session) -> None:
    assert find_footer_root(session) is None

    some_entries(session, 2)

    newest = session.get_one(LedgerEntry, 2).entry_hash
    assert find_footer_root(session) == newest[:16]
