"""Every change of the ledger, or of a record that it describes, is found and named."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given
from hypothesis import settings as with_settings
from hypothesis import strategies as st
from sqlalchemy import String, delete, null, select, text, type_coerce, update
from sqlalchemy.orm import Session

from nif.database import Database
from nif.ledger import queries
from nif.ledger.chain import PublishedEntry
from nif.ledger.models import LedgerCheckpoint, LedgerEntry, LedgerHead, LedgerKey
from nif.ledger.payloads import GENESIS_HASH
from nif.ledger.queries import verify_ledger
from tests.conftest import NOON
from tests.ledger.conftest import Sign, live_records, payload, some_entries

COUNT = 5
HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
OTHER_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "seq": st.integers(-3, 0) | st.integers(COUNT + 1, 2**40),
    "prev": HEX,
    "kind": st.sampled_from(["retraction", "removal", "style", "nothing we know"]),
    "story": st.none() | WORDS,
    "revision": st.none() | st.integers(-5, 99),
    "at": st.timedeltas(timedelta(days=-99), timedelta(days=99)).map(lambda by: NOON + by),
    "commitment": HEX,
    "entry_hash": HEX,
    "salt": st.none() | st.text("0123456789abcdef", min_size=32, max_size=32),
    "payload": st.none() | st.dictionaries(WORDS, WORDS | st.integers(0, 9), max_size=3),
}
CHANGES = st.sampled_from(sorted(OTHER_VALUES)).flatmap(
    lambda name: st.tuples(st.just(name), OTHER_VALUES[name])
)


def column(name: str) -> Any:
    """A column as the database sees it, without the enum's checks."""
    own = getattr(LedgerEntry, name)
    return type_coerce(own, String) if name == "kind" else own


def tamper(session: Session, seq: int, name: str, value: Any) -> None:
    # The database itself refuses a second beginning.
    assume((name, value) != ("prev", GENESIS_HASH))
    assume(session.scalar(select(column(name)).where(LedgerEntry.seq == seq)) != value)
    if name == "kind":
        change = text("UPDATE ledger_entry SET kind = :value WHERE seq = :seq")
        session.execute(change, {"value": value, "seq": seq})
        return
    stored = null() if value is None else value
    session.execute(update(LedgerEntry).where(LedgerEntry.seq == seq).values({name: stored}))


@given(seq=st.integers(1, COUNT), change=CHANGES)
@with_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_change_of_any_field_of_any_entry_is_found(
    database: Database, seq: int, change: tuple[str, Any]
) -> None:
    with Session(database.engine) as session:
        some_entries(session, COUNT)
        assert verify_ledger(session).is_whole
        tamper(session, seq, *change)

        verdict = verify_ledger(session)

        assert (verdict.broken, verdict.entries) == (seq, seq - 1)
        assert verdict.reason
        session.rollback()


def test_an_empty_ledger_is_whole(session: Session) -> None:
    verdict = verify_ledger(session)

    assert (verdict.is_whole, verdict.entries, verdict.root) == (True, 0, None)


@pytest.mark.parametrize("seq", [1, 2, 3])
def test_a_deleted_entry_is_found_to_be_missing(session: Session, seq: int) -> None:
    some_entries(session, 3)
    session.execute(delete(LedgerEntry).where(LedgerEntry.seq == seq))

    verdict = verify_ledger(session)

    assert verdict.broken == seq
    assert "it is missing" in str(verdict.reason)


def test_a_truncated_chain_with_an_adjusted_head_contradicts_its_checkpoint(
    session: Session, sign: Sign
) -> None:
    some_entries(session, 3)
    sign()
    session.execute(delete(LedgerEntry).where(LedgerEntry.seq == 3))
    session.execute(
        update(LedgerHead).values(seq=2, entry_hash=session.get_one(LedgerEntry, 2).entry_hash)
    )

    verdict = verify_ledger(session)

    assert (verdict.broken, verdict.reason) == (
        3,
        "a checkpoint signs it, but the chain is at entry 2 there.",
    )


def test_a_rewritten_ledger_contradicts_its_checkpoint(session: Session, sign: Sign) -> None:
    some_entries(session, 3)
    sign()
    session.execute(delete(LedgerEntry))
    session.execute(delete(LedgerHead))
    some_entries(session, 3)

    verdict = verify_ledger(session)

    assert (verdict.broken, verdict.reason) == (3, "its checkpoint signed another chain.")


@pytest.mark.parametrize("values", [{"seq": 2}, {"entry_hash": "f" * 64}])
def test_a_wrong_head_is_found(session: Session, values: dict[str, Any]) -> None:
    some_entries(session, 3)
    session.execute(update(LedgerHead).values(values))

    assert verify_ledger(session).broken == 3


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"key_id": "0123456789abcdef"}, "unknown key, 0123456789abcdef"),
        ({"key_id": "\x1b[31m"}, "unknown key."),
        ({"signature": "AAAA"}, "signature"),
        ({"signature": "§"}, "signature"),
        ({"root": "f" * 64}, "another chain"),
        ({"size": 1}, "another chain"),
        ({"size": 9}, "a checkpoint signs it"),
    ],
)
def test_a_changed_checkpoint_is_refused(
    session: Session, sign: Sign, values: dict[str, Any], reason: str
) -> None:
    some_entries(session, 2)
    sign()
    session.execute(update(LedgerCheckpoint).values(values))

    verdict = verify_ledger(session)

    assert verdict.broken == values.get("size", 2)
    assert reason in str(verdict.reason)


@pytest.mark.parametrize("text", ["", "nonsense", "AAAA"])
def test_an_invalid_key_verifies_no_checkpoint(session: Session, sign: Sign, text: str) -> None:
    some_entries(session, 2)
    sign()
    session.execute(update(LedgerKey).values(public_key=text))

    assert "unknown key" in str(verify_ledger(session).reason)


@pytest.mark.parametrize(
    "change", ["at = 'yesterday'", "payload = '{'", "payload = ''", "revision = 'one'"]
)
def test_an_unreadable_row_is_named(database: Database, change: str) -> None:
    if database.engine.dialect.name == "postgresql":
        pytest.skip("only SQLite takes such things")
    with Session(database.engine) as session:
        some_entries(session, 4)
        session.execute(text(f"UPDATE ledger_entry SET {change} WHERE seq = 3"))
        verdict = verify_ledger(session)

    assert (verdict.broken, verdict.entries) == (3, 2)


def test_matching_live_records_are_counted(session: Session) -> None:
    some_entries(session, 3)

    verdict = verify_ledger(session, live_records({1: payload(1), 3: payload(3)}))

    assert (verdict.is_whole, verdict.compared) == (True, 2)


@pytest.mark.parametrize(
    ("live", "reason"),
    [
        ({"headline": "Another"}, "the record that it describes has been changed since."),
        (None, "the record that it describes no longer exists."),
    ],
)
def test_a_changed_or_missing_live_record_is_found(
    session: Session, live: Any, reason: str
) -> None:
    some_entries(session, 3)

    verdict = verify_ledger(session, live_records({1: payload(1), 2: live, 3: payload(3)}))

    assert (verdict.broken, verdict.reason, verdict.compared) == (2, reason, 1)


@pytest.mark.parametrize("seq", [0, 4])
def test_a_live_record_without_an_entry_is_found(session: Session, seq: int) -> None:
    some_entries(session, 3)

    assert verify_ledger(session, lambda _entries: [(seq, payload(1))]).broken == seq


def test_live_records_can_be_requested_slice_by_slice(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "SLICE_SIZE", 2)
    some_entries(session, 5)
    asked: list[list[int]] = []

    def records(lines: Sequence[PublishedEntry]) -> Iterable[tuple[int, dict[str, Any]]]:
        asked.append([line.seq for line in lines])
        return [(line.seq, payload(line.revision or 0)) for line in lines if line.seq != 4]

    verdict = verify_ledger(session, records)

    assert (verdict.is_whole, verdict.compared) == (True, 4)
    assert asked == [[1, 2], [3, 4], [5]]


@pytest.mark.parametrize("page", [1, 2, 3, 4])
def test_a_ledger_verifies_whatever_number_of_entries_is_read_at_once(
    session: Session, sign: Sign, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(queries, "SLICE_SIZE", page)
    for _ in range(3):
        some_entries(session, 2)
        sign()

    verdict = verify_ledger(session, live_records({n: payload(n % 2 or 2) for n in range(1, 7)}))

    assert (verdict.is_whole, verdict.entries, verdict.compared) == (True, 6, 6)
    assert (verdict.checkpoints, verdict.signed) == (3, 6)
