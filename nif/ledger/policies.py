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
from nif.ledger.models import LedgerEntry, LedgerEntryKind, LedgerHead
from nif.ledger.payloads import GENESIS_HASH, PayloadForms


@dataclass(frozen=True)
class PolicyVersion:
    """One version of a policy: its title, the day from which it is in force, and its text."""

    slug: str
    version: int
    title: str
    change: str
    effective_from: date
    text: str


def _build_form_1(policy: PolicyVersion) -> dict[str, Any]:
    return {
        "policy": policy.slug,
        "version": policy.version,
        "title": policy.title,
        "change": policy.change,
        "effective_from": policy.effective_from.isoformat(),
        "sha256": hashlib.sha256(policy.text.encode()).hexdigest(),
    }


POLICY_FORMS = PayloadForms[PolicyVersion]({1: _build_form_1})


def record_policies(session: Session, policies: Sequence[PolicyVersion], *, now: datetime) -> int:
    """Put the versions into the ledger that it does not hold yet; returns how many there were.

    A text that was changed without a new number counts as one: the ledger then holds both. Two
    processes that start at once record each version once.
    """
    if not policies:
        return 0
    # Keep others from appending until the transaction ends, in an empty ledger too.
    session.execute(
        conflict_aware_insert(session, LedgerHead)
        .values(id=HEAD_ID, seq=0, entry_hash=GENESIS_HASH)
        .on_conflict_do_update(index_elements=[LedgerHead.id], set_={"seq": LedgerHead.seq})
    )
    payloads = session.scalars(
        select(LedgerEntry.payload)
        .where(LedgerEntry.kind == LedgerEntryKind.POLICY)
        .order_by(LedgerEntry.seq)
    )
    recorded = {(each["policy"], each["version"]): each for each in payloads if each}
    count = 0
    for policy in policies:
        last = recorded.get((policy.slug, policy.version))
        if last is None or POLICY_FORMS.recompute(policy, last) != last:
            append_entry(session, LedgerEntryKind.POLICY, POLICY_FORMS.write(policy), now=now)
            count += 1
    return count
