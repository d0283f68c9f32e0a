"""Each version of a policy is recorded once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

from sqlalchemy import select

from nif.database import Database
from nif.ledger.chain import PolicyVersion, record_policies
from nif.ledger.models import LedgerEntry
from nif.ledger.queries import verify_ledger
from tests.conftest import NOON

FIRST = PolicyVersion("ethics", 1, "Ethics", "The first version.", date(2026, 1, 1), "Be fair.")
SECOND = replace(FIRST, version=2, change="Gifts.", text="Be fair. Take no gifts.")


def test_a_policy_version_is_recorded_once_and_a_changed_text_again(session) -> None:
    assert record_policies(session, [FIRST], now=NOON) == 1
    assert record_policies(session, [FIRST], now=NOON) == 0
    assert record_policies(session, [FIRST, SECOND], now=NOON) == 1
    edited = replace(FIRST, text="Be kind.")
    assert record_policies(session, [edited, SECOND], now=NOON) == 1
    assert record_policies(session, [edited, SECOND], now=NOON) == 0

    payloads = session.scalars(select(LedgerEntry.payload).order_by(LedgerEntry.seq)).all()
    assert [(each["policy"], each["version"]) for each in payloads] == [
        ("ethics", 1),
        ("ethics", 2),
        ("ethics", 1),
    ]
    assert len({each["sha256"] for each in payloads}) == 3
    assert verify_ledger(session).is_whole


def test_without_policies_the_ledger_stays_empty(session) -> None:
    assert record_policies(session, [], now=NOON) == 0
    assert verify_ledger(session).entries == 0


def test_concurrent_starts_record_a_policy_once(database: Database) -> None:
    def start(_: int) -> int:
        with database.transaction() as session:
            return record_policies(session, [FIRST, SECOND], now=NOON)

    with ThreadPoolExecutor(4) as threads:
        written = list(threads.map(start, range(4)))

    assert sorted(written) == [0, 0, 0, 2]
    with database.reading() as session:
        assert verify_ledger(session).entries == 2
