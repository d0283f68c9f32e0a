"""What an outsider can verify with an export and the keys alone."""

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.orm import Session

from nif.errors import NifError
from nif.ledger.chain import PUBLISHED_FIELDS, delete_entry_payload
from nif.ledger.queries import (
    encode_export_line,
    list_ledger_keys,
    load_ledger_slice,
    verify_export,
)
from nif.ledger.signatures import PublicKeys, as_jwk, key_id_of, parse_jwks
from tests.ledger.conftest import Sign, some_entries


@pytest.fixture
def export(session: Session, sign: Sign) -> list[bytes]:
    """Two entries, a checkpoint, two more entries, one with a deleted payload, a checkpoint."""
    some_entries(session, 2)
    sign()
    some_entries(session, 2)
    delete_entry_payload(session, 4)
    sign()
    return [encode_export_line(line) for line in load_ledger_slice(session, after=0).in_order()]


@pytest.fixture
def keys(session: Session, export: list[bytes]) -> PublicKeys:
    jwks = [as_jwk(key.key_id, key.public_key) for key in list_ledger_keys(session)]
    return parse_jwks(orjson.dumps({"keys": jwks}))


def test_an_untouched_export_is_whole(export: list[bytes], keys: PublicKeys) -> None:
    verdict = verify_export(export, keys)

    assert (verdict.is_whole, verdict.entries, verdict.checkpoints) == (True, 4, 2)
    assert (verdict.deleted, verdict.signed) == (1, 4)
    assert verify_export([*export, b"\n"], keys) == verdict


def test_any_changed_value_is_found(export: list[bytes], keys: PublicKeys) -> None:
    for number, text in enumerate(export):
        for name in orjson.loads(text):
            if name == "signed_at":
                continue  # The time of signing is not signed: the entries' own times are.
            for value in (None, "x", 7, True, [], {"a": 1}):
                line = {**orjson.loads(text)}
                if line[name] == value and type(line[name]) is type(value):
                    continue
                line[name] = value
                changed = [*export[:number], orjson.dumps(line), *export[number + 1 :]]
                assert not verify_export(changed, keys).is_whole, (number, name, value)


def test_missing_repeated_and_moved_lines_are_found(export: list[bytes], keys: PublicKeys) -> None:
    for number in range(len(export)):
        rest = [*export[:number], *export[number + 1 :]]
        is_entry = b'"size"' not in export[number]
        if is_entry:
            assert not verify_export(rest, keys).is_whole
            assert not verify_export([*rest, export[number]], keys).is_whole or number == 4
            assert not verify_export([*export, export[number]], keys).is_whole


@pytest.mark.parametrize(
    "text",
    [
        orjson.dumps(list(PUBLISHED_FIELDS)),
        b"{",
        b"[]",
        b"7",
        b'"size"',
        b"{}",
        b'{"size": 1}',
        b"[" * 900,
        b"\xff",
    ],
)
def test_an_unreadable_line_is_named(export: list[bytes], keys: PublicKeys, text: bytes) -> None:
    verdict = verify_export([*export[:2], text], keys)

    assert (verdict.broken, verdict.reason) == (3, "line 3 of the export cannot be read.")


def test_a_checkpoint_of_an_unknown_key_is_refused(export: list[bytes]) -> None:
    stranger = Ed25519PrivateKey.generate().public_key()

    verdict = verify_export(export, {key_id_of(stranger): stranger})

    assert verdict.broken == 2
    assert "unknown key" in str(verdict.reason)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b'{"keys": 7}',
        b'{"keys": [{}]}',
        b'{"keys": [{"crv": "Ed25519", "x": "AA"}]}',
        b'{"keys": [{"crv": "Ed25519", "x": 7}]}',
        b'{"keys": [{"crv": "P-256", "x": "AA"}]}',
    ],
)
def test_a_file_without_keys_is_refused(text: bytes) -> None:
    with pytest.raises(NifError, match="file of keys"):
        parse_jwks(text)
