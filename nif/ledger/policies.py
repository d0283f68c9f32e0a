"""The policies in the ledger: each version of a text, by its hash, from when it was first seen."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.database import conflict_aware_insert
from nif.ledger.chain import HEAD_ID, append_entry
from nif.ledger.hashes import GENESIS_HASH
from nif.ledger.models import LedgerEntry, LedgerEntryKind, LedgerHead


@dataclass(frozen=True)
class PolicyVersion:
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


def record_policies(session: Session, policies: Sequence[PolicyVersion], *, now: datetime) -> int:
    """Put those versions into the ledger that are not there yet; how many there were.

    A text that was changed under its old number is one of them: the ledger then holds both. Two
    processes that start at once write each of them down once.
    """
    if not policies:
        return 0
    _lock_chain_end(session)
    kept = session.execute(
        select(LedgerEntry.payload)
        .where(LedgerEntry.kind == LedgerEntryKind.POLICY)
        .order_by(LedgerEntry.seq)
    ).scalars()
    known = {(each["policy"], each["version"]): each for each in kept if each}
    new = [policy for policy in policies if known.get(_policy_key(policy)) != policy.payload()]
    for policy in new:
        append_entry(session, LedgerEntryKind.POLICY, policy.payload(), now=now)
    return len(new)


def _policy_key(policy: PolicyVersion) -> tuple[str, int]:
    return policy.slug, policy.version


def _lock_chain_end(session: Session) -> None:
    """Have nobody else append until the transaction ends, in an empty ledger too."""
    session.execute(
        conflict_aware_insert(session, LedgerHead)
        .values(id=HEAD_ID, seq=0, entry_hash=GENESIS_HASH)
        .on_conflict_do_update(index_elements=[LedgerHead.id], set_={"seq": LedgerHead.seq})
    )
