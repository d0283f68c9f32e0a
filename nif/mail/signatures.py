"""The signature of SendGrid's event webhook: ECDSA over the timestamp and the raw body."""

from base64 import b64decode
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from sendgrid.helpers.eventwebhook import EventWebhook
from sendgrid.helpers.eventwebhook.eventwebhook_header import EventWebhookHeader

SIGNATURE = EventWebhookHeader.SIGNATURE
TIMESTAMP = EventWebhookHeader.TIMESTAMP


def is_signed(body: bytes, signature: str, timestamp: str, public_keys: Sequence[str]) -> bool:
    """Is `body` signed by one of `public_keys` (base64 SPKI, ECDSA P-256 over timestamp + body)?

    The raw bytes count, the trailing CRLF too. False for whatever is malformed, and for no key.
    """
    return any(_is_signed_with(key, body, signature, timestamp) for key in public_keys)


def _is_signed_with(key: str, body: bytes, signature: str, timestamp: str) -> bool:
    try:
        public = EventWebhook(key).public_key
        public.verify(
            b64decode(signature, validate=True), timestamp.encode() + body, ECDSA(SHA256())
        )
    except (InvalidSignature, ValueError, TypeError, AttributeError):
        return False
    return True
