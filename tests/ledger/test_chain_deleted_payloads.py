"""A payload can be deleted; its place in the chain cannot."""

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from nif.errors import NotFound
from nif.ledger.chain import delete_entry_payload
from nif.ledger.models import LedgerEntry
from nif.ledger.queries import verify_ledger
from tests.ledger.conftest import Sign, live_records, payload, some_entries


def test_a_deleted_payload_leaves_the_chain_whole(session: Session, sign: Sign) -> None:
    some_entries(session, 3)
    sign()

    delete_entry_payload(session, 2)
    delete_entry_payload(session, 2)

    verdict = verify_ledger(session, live_records({2: payload(9)}))
    assert (verdict.is_whole, verdict.entries, verdict.deleted) == (True, 3, 1)
    assert (verdict.checkpoints, verdict.compared) == (1, 0)


def test_a_deleted_payload_is_gone_from_the_database(session: Session) -> None:
    some_entries(session, 2)

    delete_entry_payload(session, 2)

    rows = session.execute(
        select(LedgerEntry.salt, LedgerEntry.payload).order_by(LedgerEntry.seq)
    ).all()
    assert rows[0].payload == payload(1)
    assert tuple(rows[1]) == (None, None)
    deleted = text("SELECT count(*) FROM ledger_entry WHERE payload IS NULL")
    assert session.scalar(deleted) == 1


@pytest.mark.parametrize("seq", [0, 3])
def test_a_missing_entry_raises_not_found(session: Session, seq: int) -> None:
    some_entries(session, 2)

    with pytest.raises(NotFound):
        delete_entry_payload(session, seq)
