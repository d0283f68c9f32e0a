"""The attack mode: it makes forms ask for proof of work, and switches itself on and off.

Sign-ups are counted in slots of five minutes. More than 100 within ten minutes, and more than eight
times the usual rate of the week before, are an attack; so are more than 50 held ones, by the same
factor. The attack is over when half an hour brought less than half of that.

Proof of work (ALTCHA's protocol 2) takes a reader's browser a second, and a flood hours. A
challenge is signed and not stored, so that a page view writes no row. Each used proof is stored
until its challenge expires, so that it works once.
"""

import hashlib
import hmac
import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from altcha import Payload, create_challenge, verify_solution
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from nif.database import add_counts, insert_if_new, lock_row
from nif.signups.models import AttackMode, SignupCount, UsedProofOfWork

SLOT = timedelta(minutes=5)
RECENT = timedelta(minutes=10)
CALM = timedelta(minutes=30)
WEEK = timedelta(days=7)
KEEP_COUNTS = timedelta(days=8)

ATTACK_SIGNUPS, ATTACK_HELD = 100, 50
ATTACK_FACTOR = 8
_ONLY_ROW = 1


class SignupRate(NamedTuple):
    """Sign-ups within ten minutes."""

    received: float
    held: float


def count_signup(session: Session, *, held: bool, now: datetime) -> None:
    slot = now - timedelta(seconds=now.timestamp() % SLOT.total_seconds())
    add_counts(session, SignupCount, [{"slot": slot, "received": 1, "held": int(held)}])


def average_signup_rate(session: Session, *, since: datetime, until: datetime) -> SignupRate:
    """The average number of sign-ups in ten minutes of a period."""
    sums = select(func.sum(SignupCount.received), func.sum(SignupCount.held))
    is_within = (SignupCount.slot > since) & (SignupCount.slot <= until)
    received, held = session.execute(sums.where(is_within)).one()
    intervals = (until - since) / RECENT
    return SignupRate((received or 0) / intervals, (held or 0) / intervals)


def delete_old_signup_counts(session: Session, *, now: datetime) -> None:
    session.execute(delete(SignupCount).where(SignupCount.slot < now - KEEP_COUNTS))


def find_active_attack_mode(session: Session, *, now: datetime) -> AttackMode | None:
    mode = find_attack_mode(session)
    return mode if mode is not None and _is_on(mode, now) else None


def find_attack_mode(session: Session) -> AttackMode | None:
    """The attack mode, on or off; None where it was never set."""
    return session.get(AttackMode, _ONLY_ROW)


def update_attack_mode(session: Session, *, now: datetime) -> AttackMode | None:
    """Switch the attack mode on or off by the rate of sign-ups; returns it if it went on now."""
    mode = _lock_attack_mode(session)
    if _is_on(mode, now):
        if mode.until is None and _is_over(session, mode.since or now, now):
            mode.since = None
        return None
    mode.since = mode.until = None
    is_kept_off = mode.off_until is not None and mode.off_until > now
    reason = None if is_kept_off else _describe_attack(session, now)
    if reason is None:
        return None
    mode.since, mode.off_until, mode.reason = now, None, reason
    return mode


def enable_attack_mode(session: Session, *, until: datetime, who: str, now: datetime) -> None:
    """Switch it on until a moment, for the person called `who`."""
    mode = _lock_attack_mode(session)
    mode.since = mode.since if _is_on(mode, now) and mode.since else now
    mode.until, mode.off_until = until, None
    mode.reason = f"{who} switched it on."


def disable_attack_mode(session: Session, *, until: datetime) -> None:
    """Switch it off for a person; it does not switch itself on before `until`."""
    mode = _lock_attack_mode(session)
    mode.since, mode.until, mode.off_until = None, None, until


def automate_attack_mode(session: Session) -> None:
    """Have it switch itself on and off from now on."""
    mode = _lock_attack_mode(session)
    mode.until = mode.off_until = None


def _is_on(mode: AttackMode, now: datetime) -> bool:
    return mode.since is not None and (mode.until is None or mode.until > now)


def _attack_threshold(session: Session, before: datetime) -> SignupRate:
    """The rate above which sign-ups are an attack, by the usual rate of the week before."""
    usual = average_signup_rate(session, since=before - WEEK, until=before - RECENT)
    return SignupRate(
        max(ATTACK_SIGNUPS, ATTACK_FACTOR * usual.received),
        max(ATTACK_HELD, ATTACK_FACTOR * usual.held),
    )


def _describe_attack(session: Session, now: datetime) -> str | None:
    """Why the recent sign-ups are an attack; None where they are not."""
    recent = average_signup_rate(session, since=now - RECENT, until=now)
    threshold = _attack_threshold(session, now)
    if recent.received > threshold.received:
        return f"{recent.received:,.0f} sign-ups came in within ten minutes."
    if recent.held > threshold.held:
        return f"{recent.held:,.0f} sign-ups within ten minutes had to be held."
    return None


def _is_over(session: Session, since: datetime, now: datetime) -> bool:
    if now - since < CALM:
        return False
    recent = average_signup_rate(session, since=now - CALM, until=now)
    threshold = _attack_threshold(session, since)
    return recent.received < threshold.received / 2 and recent.held < threshold.held / 2


def _lock_attack_mode(session: Session) -> AttackMode:
    return lock_row(session, AttackMode, _ONLY_ROW, id=_ONLY_ROW, reason="")


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
