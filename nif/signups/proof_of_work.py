"""Proof of work (ALTCHA's protocol 2): a reader's browser computes a while, a flood for hours.

A challenge is signed and not kept, so that a page view costs no row. What is kept is each proof
that was used, until it is too old to be used again.
"""

import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from altcha import Payload, create_challenge, verify_solution
from sqlalchemy import delete
from sqlalchemy.orm import Session

from nif.database import conflict_aware_insert
from nif.signups.models import UsedProofOfWork

ALGORITHM = "PBKDF2/SHA-256"
COST = 5_000
"""Rounds for a try, of which some 256 are needed: about a second for a browser's threads."""

VALID_FOR = timedelta(hours=2)
MAX_PROOF_LENGTH = 4_000
"""Characters. Whatever a browser of ours sends is far shorter."""


def make_challenge(keys: Sequence[bytes], ticket: str, *, now: datetime) -> str:
    """A challenge as JSON, good for two hours and for the form that carries `ticket` alone."""
    made = create_challenge(
        ALGORITHM,
        COST,
        expires_at=now + VALID_FOR,
        data={"form": ticket},
        hmac_secret=_secret(keys[0]),
    )
    return json.dumps(made.to_dict())


def accept_proof(
    session: Session, keys: Sequence[bytes], ticket: str, proof: str, *, now: datetime
) -> bool:
    """Is this a proof for a challenge of ours, for this form, in time, and used never before?"""
    payload = _parse_proof(proof)
    if payload is None or payload.challenge.parameters.data != {"form": ticket}:
        return False
    expires_at = payload.challenge.parameters.expires_at
    if not any(_is_solved(payload, key) for key in keys) or (expires_at or 0) < now.timestamp():
        return False
    used = hashlib.sha256(str(payload.challenge.signature).encode()).hexdigest()
    first = session.scalar(
        conflict_aware_insert(session, UsedProofOfWork)
        .values(key=used, expires_at=now + VALID_FOR)
        .on_conflict_do_nothing()
        .returning(UsedProofOfWork.key)
    )
    return first is not None


def delete_expired_proofs(session: Session, *, now: datetime) -> None:
    """Drop the proofs that nobody could use again anyway."""
    session.execute(delete(UsedProofOfWork).where(UsedProofOfWork.expires_at < now))


def _parse_proof(proof: str) -> Payload | None:
    """None for what is no proof at all."""
    if not 0 < len(proof) <= MAX_PROOF_LENGTH:
        return None
    try:
        payload = Payload.from_base64(proof)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return payload if payload.challenge.parameters.algorithm == ALGORITHM else None


def _is_solved(payload: Payload, key: bytes) -> bool:
    """The signature is checked before anything is computed by what the payload says."""
    try:
        return verify_solution(payload, _secret(key)).verified
    except (ValueError, TypeError, AttributeError):
        return False


def _secret(key: bytes) -> bytes:
    return hmac.digest(key, b"nif:proof-of-work", "sha256")
