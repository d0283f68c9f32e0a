"""The policies in the ledger: each version of a text, by its hash, from when it was first seen."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.database import insert_into
from nif.ledger.chaining import THE_HEAD, append
from nif.ledger.hashing import GENESIS
from nif.ledger.models import Entry, Head, Kind


@dataclass(frozen=True)
class Policy:
    """One version of a policy: what it is called, since when it is in force, and its text."""

    slug: str
    version: int
    title: str
    change: str
    effective_from: date
    text: str

    def payload(self) -> dict[str, Any]:
        return {
            "policy": self.slug,
            "version": self.version,
            "title": self.title,
            "change": self.change,
            "effective_from": self.effective_from.isoformat(),
            "sha256": hashlib.sha256(self.text.encode()).hexdigest(),
        }


def write_down(session: Session, policies: Sequence[Policy], *, now: datetime) -> int:
    """Put those versions into the ledger that are not there yet; how many there were.

    A text that was changed under its old number is one of them: the ledger then holds both. Two
    processes that start at once write each of them down once.
    """
    if not policies:
        return 0
    _hold_the_end(session)
    kept = session.execute(
        select(Entry.payload).where(Entry.kind == Kind.POLICY).order_by(Entry.seq)
    ).scalars()
    known = {(each["policy"], each["version"]): each for each in kept if each}
    new = [policy for policy in policies if known.get(_key(policy)) != policy.payload()]
    for policy in new:
        append(session, Kind.POLICY, policy.payload(), now=now)
    return len(new)


def _key(policy: Policy) -> tuple[str, int]:
    return policy.slug, policy.version


def _hold_the_end(session: Session) -> None:
    """Have nobody else append until the transaction ends, in an empty ledger too."""
    session.execute(
        insert_into(session, Head)
        .values(id=THE_HEAD, seq=0, entry_hash=GENESIS)
        .on_conflict_do_update(index_elements=[Head.id], set_={"seq": Head.seq})
    )
