"""Proof of work (ALTCHA's protocol 2): a reader's browser computes for a second, a flood for hours.

A challenge is signed and not stored, so that a page view writes no row. Each used proof is stored
until its challenge expires, so that it works once.
"""

import hashlib
import hmac
import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from altcha import Payload, create_challenge, verify_solution
from sqlalchemy import delete
from sqlalchemy.orm import Session

from nif.database import insert_if_new
from nif.signups.models import UsedProofOfWork

ALGORITHM = "PBKDF2/SHA-256"
COST = 5_000
"""Rounds of each attempt. A solution takes about 256 attempts: a second in a browser's threads."""

VALID_FOR = timedelta(hours=2)
MAX_PROOF_LENGTH = 4_000
"""Characters. What the form's script sends is far shorter."""


def make_challenge(keys: Sequence[bytes], ticket: str, *, now: datetime) -> str:
    """A challenge as JSON, valid for two hours and only for the form with this `ticket`."""
    created = create_challenge(
        ALGORITHM,
        COST,
        expires_at=now + VALID_FOR,
        data={"form": ticket},
        hmac_secret=_secret(keys[0]),
    )
    return json.dumps(created.to_dict())


def accept_proof(
    session: Session, keys: Sequence[bytes], ticket: str, proof: str, *, now: datetime
) -> bool:
    """Use a proof; False where it is wrong, expired, already used, or for another form."""
    payload = _parse_proof(proof)
    if payload is None or payload.challenge.parameters.data != {"form": ticket}:
        return False
    expires_at = payload.challenge.parameters.expires_at
    if not any(_is_solved(payload, key) for key in keys) or (expires_at or 0) < now.timestamp():
        return False
    used = hashlib.sha256(str(payload.challenge.signature).encode()).hexdigest()
    first = insert_if_new(session, UsedProofOfWork, key=used, expires_at=now + VALID_FOR)
    return first is not None


def delete_expired_proofs(session: Session, *, now: datetime) -> None:
    session.execute(delete(UsedProofOfWork).where(UsedProofOfWork.expires_at < now))


def _parse_proof(proof: str) -> Payload | None:
    if not 0 < len(proof) <= MAX_PROOF_LENGTH:
        return None
    try:
        payload = Payload.from_base64(proof)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return payload if payload.challenge.parameters.algorithm == ALGORITHM else None


def _is_solved(payload: Payload, key: bytes) -> bool:
    """Is it solved? The library checks the signature before it computes with the payload's cost."""
    with suppress(ValueError, TypeError, AttributeError):
        return verify_solution(payload, _secret(key)).verified
    return False


def _secret(key: bytes) -> bytes:
    return hmac.digest(key, b"nif:proof-of-work", "sha256")
