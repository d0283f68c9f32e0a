"""Checkpoints are signed when the ledger has grown, with a key that is never replaced silently."""

import stat
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from nif.errors import Conflict, Misconfigured
from nif.ledger.checkpoints import renew_signing_key
from nif.ledger.models import LedgerCheckpoint, LedgerEntry, LedgerHead, LedgerKey
from nif.ledger.queries import list_ledger_keys, verify_ledger
from nif.ledger.signatures import find_signing_key, key_id_of
from tests.conftest import NOON
from tests.ledger.conftest import Sign, some_entries


def test_a_ledger_is_signed_only_when_it_has_grown(session: Session, sign: Sign) -> None:
    assert sign() is None

    some_entries(session, 2)
    first, again = sign(), sign()
    some_entries(session, 1)
    second = sign(now=NOON + timedelta(hours=1, microseconds=5))

    assert (first and first.size, again, second and second.size) == (2, None, 3)
    assert second is not None
    assert second.signed_at == NOON + timedelta(hours=1)
    assert second.root == session.get_one(LedgerEntry, 3).entry_hash
    assert verify_ledger(session).checkpoints == 2


def test_the_key_is_made_once_and_readable_by_its_owner_only(
    session: Session, sign: Sign, key_file: Path
) -> None:
    some_entries(session, 1)
    sign()
    made = key_file.read_bytes()
    some_entries(session, 1)
    sign()

    assert key_file.read_bytes() == made
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert [path.name for path in key_file.parent.iterdir()] == ["ledger_key.pem"]
    assert session.scalar(select(func.count()).select_from(LedgerKey)) == 1


def test_a_lost_key_is_not_replaced_automatically(
    session: Session, sign: Sign, key_file: Path
) -> None:
    some_entries(session, 1)
    sign()
    key_file.unlink()
    some_entries(session, 1)

    with pytest.raises(Misconfigured, match=r"NIF_LEDGER_KEY_FILE.*nif ledger new-key"):
        sign()
    assert not key_file.exists()


def test_a_key_is_required_where_none_may_be_made(
    session: Session, sign: Sign, key_file: Path
) -> None:
    some_entries(session, 1)

    with pytest.raises(Misconfigured, match="is not at"):
        sign(may_make_key=False)
    assert not key_file.exists()


@pytest.mark.parametrize("content", ["", "nonsense", "-----BEGIN PRIVATE KEY-----\nAAAA\n"])
def test_an_invalid_key_file_is_refused(
    session: Session, sign: Sign, tmp_path: Path, content: str
) -> None:
    some_entries(session, 1)
    wrong = tmp_path / "wrong.pem"
    wrong.write_text(content)

    with pytest.raises(Misconfigured, match="must hold an Ed25519 key"):
        sign(key_file=wrong)
    assert wrong.read_text() == content


def test_an_old_key_stays_published_when_a_new_one_takes_over(
    session: Session, sign: Sign, key_file: Path
) -> None:
    some_entries(session, 1)
    first = sign()
    new_id, away = renew_signing_key(session, key_file, now=NOON + timedelta(days=1))
    some_entries(session, 1)
    second = sign(may_make_key=False)

    assert first is not None
    assert second is not None
    assert (first.key_id != new_id, second.key_id) == (True, new_id)
    assert [key.key_id for key in list_ledger_keys(session)] == [new_id, first.key_id]
    assert away is not None
    old = find_signing_key(away)
    assert old is not None
    assert key_id_of(old.public_key()) == first.key_id
    assert (verify_ledger(session).is_whole, verify_ledger(session).checkpoints) == (True, 2)


def test_the_first_key_can_be_made_by_command(session: Session, sign: Sign, key_file: Path) -> None:
    new_id, away = renew_signing_key(session, key_file, now=NOON)
    some_entries(session, 1)
    made = sign(may_make_key=False)

    assert away is None
    assert made is not None
    assert made.key_id == new_id


def test_a_broken_ledger_is_not_signed(session: Session, sign: Sign) -> None:
    some_entries(session, 2)
    sign()
    some_entries(session, 2)
    session.execute(update(LedgerEntry).where(LedgerEntry.seq == 3).values(story="another"))

    with pytest.raises(Conflict, match="Entry 3"):
        sign()
    assert session.scalar(select(func.count()).select_from(LedgerCheckpoint)) == 1


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_rewritten_ledger_is_not_signed(session: Session, sign: Sign, count: int) -> None:
    some_entries(session, 2)
    sign()
    session.execute(delete(LedgerEntry))
    session.execute(delete(LedgerHead))
    some_entries(session, count)

    with pytest.raises(Conflict, match="not signed"):
        sign()
