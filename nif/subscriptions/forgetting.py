"""What is kept of who was erased: a keyed hash, so that no later import mails them again."""

import hmac
from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.database import insert_into, keys_of
from nif.errors import Misconfigured
from nif.subscriptions import tallying
from nif.subscriptions.models import Suppression, SuppressionReason
from nif.tokens import hmac_states

PURPOSE = b"nif:erased"
PREFIX = "erased:"
"""No address begins like this: a colon stands in none that we take."""

FEW = 500
"""So many addresses are asked for by their hashes; for more, all hashes are read at once."""

ERASED = "[erased]"
"""What stands where an address stood."""

GONE = (
    "There is nothing behind this link any more. If you asked us to forget you, we have, and will "
    "not write to you again. Otherwise ask for a new link, or subscribe."
)
"""What an old link says whose reader is not there any more."""


def remember_erased(session: Session, canonical: str, *, source: str, now: datetime) -> None:
    """Keep the hash of an address that is never to be mailed again, in place of the address.

    It is an HMAC-SHA256 with a key that is derived from the secret key, so nobody without that key
    can find the address by trying. Raises Misconfigured where the house has no key.
    """
    keys = keys_of(session)
    if not keys:
        raise Misconfigured("Without the secret key nobody can be erased: set NIF_SECRET_KEY.")
    if is_erased(session, canonical):
        return
    made = session.scalar(
        insert_into(session, Suppression)
        .values(
            canonical=_marks(keys[0], [canonical])[0],
            reason=SuppressionReason.ERASED,
            source=source,
            at=now,
        )
        .on_conflict_do_nothing()
        .returning(Suppression.canonical)
    )
    if made is not None:
        tallying.count(session, {SuppressionReason.ERASED: 1})


def is_erased(session: Session, canonical: str) -> bool:
    """Did whoever reads at this address ask to be forgotten?"""
    return bool(is_erased_many(session, [canonical]))


def is_erased_many(session: Session, canonicals: Collection[str]) -> set[str]:
    """Which of these addresses belong to somebody who asked to be forgotten.

    A million are answered in about two seconds a key. Older keys are tried too: a hash outlives a
    change of key as long as the old one is among the fallbacks.
    """
    keys = keys_of(session)
    if not keys or not canonicals:
        return set()
    names = list(canonicals)
    kept = select(Suppression.canonical).where(Suppression.reason == SuppressionReason.ERASED)
    if len(names) <= FEW:
        marks = {mark: name for key in keys for mark, name in _pairs(key, names)}
        found = session.scalars(kept.where(Suppression.canonical.in_(marks)))
        return {marks[mark] for mark in found}
    known = set(session.scalars(kept))
    if not known:
        return set()
    return {name for key in keys for mark, name in _pairs(key, names) if mark in known}


def _pairs(key: bytes, canonicals: list[str]) -> Iterable[tuple[str, str]]:
    return zip(_marks(key, canonicals), canonicals, strict=True)


def _marks(key: bytes, canonicals: list[str]) -> list[str]:
    """The hashes of addresses, in their order."""
    inner, outer = hmac_states(hmac.digest(key, PURPOSE, "sha256"))
    marks = []
    for canonical in canonicals:
        within, around = inner.copy(), outer.copy()
        within.update(canonical.encode())
        around.update(within.digest())
        marks.append(PREFIX + around.hexdigest())
    return marks
