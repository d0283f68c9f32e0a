"""The signature of the event webhook, over the raw bytes."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from nif.mail.sendgrid import SIGNATURE_HEADER, TIMESTAMP_HEADER, is_webhook_signed
from tests.standin.signing import Signer

BODY = b'[{"event":"processed"}]\r\n'
SIGNER = Signer()


def signed(body: bytes = BODY, signer: Signer = SIGNER) -> tuple[str, str]:
    headers = signer.headers(body, at=1_700_000_000)
    return headers[SIGNATURE_HEADER], headers[TIMESTAMP_HEADER]


def spki(key) -> str:
    return base64.b64encode(
        key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).decode()


def test_a_signature_of_the_key_is_valid() -> None:
    assert is_webhook_signed(BODY, *signed(), [SIGNER.public_key])


def test_a_signature_of_any_listed_key_is_valid() -> None:
    keys = [Signer().public_key, SIGNER.public_key, Signer().public_key]

    assert is_webhook_signed(BODY, *signed(), keys)
    assert not is_webhook_signed(BODY, *signed(), keys[::2])


def test_a_broken_key_does_not_shadow_a_good_one() -> None:
    assert is_webhook_signed(BODY, *signed(), ["", "not a key", SIGNER.public_key])


@pytest.mark.parametrize("place", range(0, len(BODY), 5))
def test_a_changed_byte_makes_a_signature_invalid(place: int) -> None:
    changed = bytearray(BODY)
    changed[place] ^= 1

    assert not is_webhook_signed(bytes(changed), *signed(), [SIGNER.public_key])


@pytest.mark.parametrize(
    "body", [BODY.rstrip(), BODY[:-1], BODY + b"\n", b"", BODY.replace(b":", b": ")]
)
def test_the_signature_covers_the_raw_bytes_with_the_last_line_break(body: bytes) -> None:
    assert not is_webhook_signed(body, *signed(), [SIGNER.public_key])


@pytest.mark.parametrize("timestamp", ["", "1700000001", "01700000000", "\ud800", "nön"])
def test_the_timestamp_is_signed_too(timestamp: str) -> None:
    signature, _ = signed()

    assert not is_webhook_signed(BODY, signature, timestamp, [SIGNER.public_key])


@pytest.mark.parametrize(
    "signature", ["", "=", "!!!!", "AAAA", "é", "\x00", "A" * 10_000, "MEUCIQ=="]
)
def test_malformed_signatures_are_invalid(signature: str) -> None:
    assert not is_webhook_signed(BODY, signature, "1700000000", [SIGNER.public_key])


def test_extra_characters_make_a_signature_invalid() -> None:
    signature, timestamp = signed()

    assert not is_webhook_signed(BODY, f"{signature}\n", timestamp, [SIGNER.public_key])
    assert not is_webhook_signed(BODY, f"!{signature}", timestamp, [SIGNER.public_key])


def test_without_keys_no_signature_is_valid() -> None:
    assert not is_webhook_signed(BODY, *signed(), [])
    assert not is_webhook_signed(BODY, *signed(), [""])


@pytest.mark.parametrize(
    "key",
    [
        spki(ed25519.Ed25519PrivateKey.generate()),
        spki(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
        spki(ec.generate_private_key(ec.SECP384R1())),
        "é",
        "A" * 124,
    ],
    ids=["ed25519", "rsa", "p384", "letters", "zeros"],
)
def test_a_key_of_another_type_verifies_nothing(key: str) -> None:
    assert not is_webhook_signed(BODY, *signed(), [key])
