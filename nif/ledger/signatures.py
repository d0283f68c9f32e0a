"""The keys that sign checkpoints (Ed25519, RFC 8032), and the signatures themselves.

A key's id is the first 16 hexadecimal digits of the SHA-256 over its 32 public bytes. Keys are
published as a JWK set (RFC 7517, RFC 8037).
"""

import hashlib
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import orjson
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from nif.errors import Misconfigured, NifError
from nif.ledger.payloads import encode_canonical_json

KEY_ID_DIGITS = 16
PublicKeys = Mapping[str, Ed25519PublicKey]
"""Public keys by their ids."""


def key_id_of(key: Ed25519PublicKey) -> str:
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:KEY_ID_DIGITS]


def sign_chain_root(key: Ed25519PrivateKey, size: int, root: str) -> str:
    """The signature over JCS({root, size}), in URL-safe base64."""
    return encode_base64url(key.sign(_signed_bytes(size, root)))


def is_valid_signature(key: Ed25519PublicKey, signature: str, size: int, root: str) -> bool:
    """Did the key sign the first `size` entries, the last of which has the hash `root`?"""
    try:
        key.verify(decode_base64url(signature), _signed_bytes(size, root))
    except (InvalidSignature, ValueError, TypeError, AttributeError):
        return False
    return True


def _signed_bytes(size: int, root: str) -> bytes:
    return encode_canonical_json({"size": size, "root": root})


def find_signing_key(path: Path) -> Ed25519PrivateKey | None:
    """The key in a file; None where there is no file. Raises Misconfigured for any other file."""
    key: object = None
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        pass
    if not isinstance(key, Ed25519PrivateKey):
        raise Misconfigured(
            f"NIF_LEDGER_KEY_FILE: {path} must hold an Ed25519 key as PEM, without a password, "
            "that NIF may read."
        )
    return key


def make_signing_key(path: Path) -> Ed25519PrivateKey:
    """Make a key that only its owner can read; if another process made one first, return that."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    whole.touch(mode=0o600)
    whole.write_bytes(pem)
    with suppress(FileExistsError):
        path.hardlink_to(whole)
    whole.unlink()
    made = find_signing_key(path)
    assert made is not None
    return made


def archive_signing_key(path: Path) -> Path | None:
    """Move the key aside, named by its id; returns its new path, or None where there is no key."""
    old = find_signing_key(path)
    if old is None:
        return None
    archived = path.with_name(f"{path.stem}.{key_id_of(old.public_key())}{path.suffix}")
    path.rename(archived)
    return archived


def as_jwk(key_id: str, public_key: str) -> dict[str, str]:
    """A public key as a JWK; `public_key` is its 32 bytes in URL-safe base64."""
    usual = {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig"}
    return {**usual, "kid": key_id, "x": public_key}


def parse_jwks(text: bytes) -> PublicKeys:
    """The keys of a JWK set, by the ids that follow from their bytes.

    Raises NifError where it is none, or a key in it is of another kind.
    """
    try:
        jwks = orjson.loads(text)["keys"]
        if any(jwk["crv"] != "Ed25519" for jwk in jwks):
            raise ValueError("a key of another kind")
        return decode_public_keys(jwk["x"] for jwk in jwks)
    except (ValueError, TypeError, KeyError):
        raise NifError(
            "The file of keys is not what /.well-known/nif-transparency-key.json serves."
        ) from None


def decode_public_keys(texts: Iterable[str]) -> PublicKeys:
    """Keys by their ids, each from 32 bytes in URL-safe base64. Raises ValueError or TypeError."""
    keys = [Ed25519PublicKey.from_public_bytes(decode_base64url(text)) for text in texts]
    return {key_id_of(key): key for key in keys}


def encode_base64url(raw: bytes) -> str:
    """URL-safe base64 without padding, as in a JWK."""
    return urlsafe_b64encode(raw).decode().rstrip("=")


def decode_base64url(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
