"""Hashes match the published specification, byte for byte."""

import enum
import hashlib
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from nif.ledger.chain import PublicAct, build_entry
from nif.ledger.models import LedgerEntryKind
from nif.ledger.payloads import (
    GENESIS_HASH,
    compute_commitment,
    encode_canonical_json,
    format_ledger_time,
    matches_commitment,
    matches_hash,
)

FIRST = "f63407d6af06ed310df74cd99d3cf6e7c4bc9ea8472e55264649f5d7b76125d7"
NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_the_first_published_example_has_the_published_hash() -> None:
    act = PublicAct(LedgerEntryKind.PUBLISH, {"headline": "H", "revision": 1}, "example", 1)

    entry = build_entry(
        1, GENESIS_HASH, act, now=datetime(2026, 1, 20, 15, tzinfo=UTC), salt="00" * 16
    )

    assert entry.commitment == "5ebaeefbaaf3a7b985ca0777d3357cbedaaed052c0516b30861827d0172f7094"
    assert entry.entry_hash == FIRST


def test_the_second_published_example_has_the_published_hash() -> None:
    act = PublicAct(LedgerEntryKind.CORRECTION, {"headline": "H2", "revision": 2}, "example", 2)

    entry = build_entry(2, FIRST, act, now=datetime(2026, 1, 21, 9, 30, tzinfo=UTC), salt="01" * 16)

    assert entry.commitment == "86d66172b4947e9d50066825015b11c3131ea1da7e9197f58568b256aa7738c5"
    assert entry.entry_hash == "abb723f94d7bd428b4d003730eeb7328a4af179b0fcb4d0627ab895cf8b88838"


def test_times_are_in_utc_and_show_fractions() -> None:
    summer = datetime(2026, 7, 1, 16, 0, tzinfo=timezone(timedelta(hours=1)))

    assert format_ledger_time(summer) == "2026-07-01T15:00:00Z"
    assert format_ledger_time(summer.replace(microsecond=1)) == "2026-07-01T15:00:00.000001Z"


@given(VALUES)
def test_a_hash_matches_whichever_encoder_wrote_it(value: Any) -> None:
    wanted = hashlib.sha256(b"salt" + rfc8785.dumps(value)).hexdigest()

    assert matches_hash(value, wanted, b"salt")
    assert not matches_hash(value, wanted, b"another")
    assert not matches_hash([value], wanted, b"salt")


@pytest.mark.parametrize("salt", [None, "", "00" * 15, "zz" * 16, 7])
def test_an_invalid_salt_matches_no_commitment(salt: object) -> None:
    commit = compute_commitment({"a": 1}, "00" * 16)

    assert matches_commitment({"a": 1}, "00" * 16, commit)
    assert not matches_commitment({"a": 1}, salt, commit)


@pytest.mark.parametrize("value", ["a\0b", {"a\0": 1}, [2**53], {"n": 1e20}, [1e22], [-(2.0**53)]])
def test_values_that_a_database_would_change_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"NUL|number|integer"):
        encode_canonical_json(value)


@pytest.mark.parametrize("value", [object(), b"bytes", float("nan"), "\ud800", {1: 2}])
def test_values_that_json_cannot_hold_are_refused(value: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        encode_canonical_json(value)


def test_enum_members_are_encoded_by_their_values() -> None:
    word = enum.StrEnum("Word", {"YES": "yes"}).YES

    assert encode_canonical_json({"word": word}) == b'{"word":"yes"}'
