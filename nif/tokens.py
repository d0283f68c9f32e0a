"""Signed tokens for the links in mail. Each has one purpose, and none is stored.

A token is the URL-safe base64 of packed numbers and the first 14 bytes of an HMAC-SHA256 over
purpose and numbers (RFC 2104; truncated as its section 5 allows). It holds ids and a time, never
an email address. Older keys still open the tokens that they signed, so links outlive a change of
key.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import b2a_base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from struct import Struct

from nif.errors import NotFound

UNKNOWN_LINK = (
    "This link is not valid. It may be incomplete: copy the whole link from the mail, or ask for "
    "a new one."
)

_NUMBERS = Struct(">QQ")
_MAC_BYTES = 14
_PREFIX = b"nif:"
_HMAC_BLOCK_BYTES = 64
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class TokenPurpose(StrEnum):
    """What a token is good for. The values are signed: a changed one breaks the links in mail.

    UNSUBSCRIBE, REPERMISSION and REPORT_SIGNUP never expire and give no access to data; PREFERENCES
    never expires.
    """

    CONFIRM = "confirm"
    PREFERENCES = "preferences"
    UNSUBSCRIBE = "unsubscribe"
    REPERMISSION = "stay"
    FORM_TICKET = "form"
    INVITATION = "invitation"
    REPORT_SIGNUP = "not_me"
    ADDRESS_CHANGE = "address"
    EMBED = "embed"


@dataclass(frozen=True)
class Tokens:
    """Makes and opens tokens with `keys`, of which the first signs."""

    keys: Sequence[bytes]

    def make(self, purpose: TokenPurpose, first: int, second: int = 0) -> str:
        """A token of 40 characters for two numbers below 2**64."""
        numbers = _NUMBERS.pack(first, second)
        return urlsafe_b64encode(numbers + _mac(self.keys[0], purpose, numbers)).decode()

    def maker(self, purpose: TokenPurpose, second: int = 0) -> Callable[[int], str]:
        """A function from the first number to its token: bulk `make`, three times as fast.

        The hash state after the key is the same for all tokens, so it is computed once and copied.
        """
        inner, outer = hmac_states(self.keys[0])
        inner.update(_PREFIX + purpose.encode() + b":")
        pack = _NUMBERS.pack

        def make(first: int) -> str:
            numbers = pack(first, second)
            within, around = inner.copy(), outer.copy()
            within.update(numbers)
            around.update(within.digest())
            token = b2a_base64(numbers + around.digest()[:_MAC_BYTES], newline=False)
            return token.translate(_URL_SAFE).decode()

        return make

    def open(self, purpose: TokenPurpose, token: str) -> tuple[int, int]:
        """The two numbers in a token. Raises NotFound for a token not signed for this purpose."""
        try:
            raw = urlsafe_b64decode(token.encode("ascii"))
        except ValueError:
            raw = b""
        if urlsafe_b64encode(raw).decode() != token:
            # The decoder skips invalid characters; a token has only one spelling.
            raw = b""
        numbers, mac = raw[: _NUMBERS.size], raw[_NUMBERS.size :]
        if len(raw) == _NUMBERS.size + _MAC_BYTES and any(
            hmac.compare_digest(mac, _mac(key, purpose, numbers)) for key in self.keys
        ):
            first, second = _NUMBERS.unpack(numbers)
            return first, second
        raise NotFound(UNKNOWN_LINK)


def installation_id(key: bytes) -> str:
    """What tells the mail of this installation from that of others with the same provider.

    It is made of the secret key, so a restored database changes nothing about it.
    """
    return hmac.digest(key, _PREFIX + b"installation", "sha256").hex()[:16]


def _mac(key: bytes, purpose: TokenPurpose, numbers: bytes) -> bytes:
    return hmac.digest(key, _PREFIX + purpose.encode() + b":" + numbers, "sha256")[:_MAC_BYTES]


def hmac_states(key: bytes) -> tuple["hashlib._Hash", "hashlib._Hash"]:
    """SHA-256 states after the inner and the outer block of the key (RFC 2104 section 4)."""
    if len(key) > _HMAC_BLOCK_BYTES:
        key = hashlib.sha256(key).digest()
    block = key.ljust(_HMAC_BLOCK_BYTES, b"\0")
    return (
        hashlib.sha256(bytes(byte ^ 0x36 for byte in block)),
        hashlib.sha256(bytes(byte ^ 0x5C for byte in block)),
    )
