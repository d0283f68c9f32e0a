"""Entries follow each other, whoever appends them, and share the fate of their transaction."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.database import Database
from nif.ledger.chaining import append
from nif.ledger.hashing import GENESIS
from nif.ledger.models import Entry, Kind
from nif.ledger.reading import find_end, footer_root
from nif.ledger.verifying import verify
from tests.conftest import NOON
from tests.ledger.conftest import payload, some_entries


def test_each_entry_holds_the_one_before_it(session: Session) -> None:
    some_entries(session, 3)

    entries = session.scalars(select(Entry).order_by(Entry.seq)).all()
    assert [entry.seq for entry in entries] == [1, 2, 3]
    assert [entry.prev for entry in entries] == [GENESIS, *[e.entry_hash for e in entries[:2]]]
    assert [entry.kind for entry in entries] == [Kind.PUBLISH, Kind.UPDATE, Kind.UPDATE]
    assert find_end(session) == (3, entries[2].entry_hash)
    assert verify(session).is_whole


def test_an_entry_has_whole_seconds_and_a_salt_of_its_own(session: Session) -> None:
    moment = NOON + timedelta(seconds=1.9)

    first, second = (append(session, Kind.POLICY, payload(1), now=moment) for _ in range(2))

    assert first.at == NOON + timedelta(seconds=1)
    assert first.commitment != second.commitment
    assert first.salt is not None
    assert len(first.salt) == 32
    assert (first.story, first.revision) == (None, None)


def test_what_is_undone_was_never_written_down(database: Database) -> None:
    with database.transaction() as session:
        some_entries(session, 1)
    with Session(database.engine) as session:
        some_entries(session, 2)
        session.rollback()
    with database.transaction() as session:
        append(session, Kind.REPORT, payload(2), now=NOON)

    with database.reading() as session:
        assert (verify(session).is_whole, verify(session).entries) == (True, 2)


def test_what_cannot_be_kept_is_not_appended(session: Session) -> None:
    with pytest.raises(ValueError, match="NUL"):
        append(session, Kind.REPORT, {"text": "a\0b"}, now=NOON)


def test_two_who_append_at_once_make_one_chain(database: Database) -> None:
    together = Barrier(2)

    def work(_: int) -> None:
        together.wait()
        for number in range(10):
            with database.transaction() as session:
                append(session, Kind.UPDATE, payload(number), now=NOON)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(work, range(2)))

    with database.reading() as session:
        verdict = verify(session)
    assert (verdict.is_whole, verdict.entries) == (True, 20)


def test_the_foot_shows_the_newest_entry(session: Session) -> None:
    assert footer_root(session) is None

    some_entries(session, 2)

    newest = session.get_one(Entry, 2).entry_hash
    assert footer_root(session) == newest[:16]
