"""Adding to the house's list of whom it mails no more by hand, lifting, and taking it out."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.accounts.audit_log import Actor, record_audit_entry
from nif.errors import Conflict, Invalid, NotFound
from nif.subscribers.profile import MANUAL_SOURCE, may_lift_suppression, parse_suppression_reason
from nif.subscriptions import suppression_list
from nif.subscriptions.email_address import parse_address
from nif.subscriptions.models import Subscriber, Suppression, SuppressionReason
from nif.subscriptions.suppression_list import find_erased_addresses

MAX_PASTED_ADDRESSES = 10_000
"""Addresses that are added at once; for more there are imports."""

_IN_BRACKETS = re.compile(r"<([^<>]*)>")


@dataclass(frozen=True)
class PastedAddresses:
    """What was pasted: the addresses in it, and what is none."""

    canonicals: frozenset[str]
    wrong: Sequence[str]


@dataclass(frozen=True)
class AddedSuppressions:
    """How many addresses are suppressed now that were not, and how many were already."""

    new: int
    there: int


def parse_pasted_addresses(text: str) -> PastedAddresses:
    """The addresses in a text: one a line, or with commas, semicolons or spaces between them.

    Raises Invalid where there is nothing, or too much.
    """
    parts = list(_split_pasted(text))
    if not parts:
        raise Invalid({"addresses": "Give at least one address."})
    if len(parts) > MAX_PASTED_ADDRESSES:
        raise Invalid(
            {
                "addresses": f"At most {MAX_PASTED_ADDRESSES:,} addresses at once; import a "
                "file of more."
            }
        )
    canonicals, wrong = set(), []
    for part in parts:
        try:
            canonicals.add(parse_address(part).canonical)
        except Invalid:
            wrong.append(part)
    return PastedAddresses(frozenset(canonicals), wrong)


def add_manual_suppressions(
    session: Session, canonicals: Iterable[str], reason: str, *, by: Actor, now: datetime
) -> AddedSuppressions:
    """Never mail these addresses again, because of `reason`. What stands stays as it is.

    Who was erased counts as there already. Raises Invalid for a reason that is none.
    """
    source = f"{MANUAL_SOURCE}{parse_suppression_reason(reason)}"
    wanted = set(canonicals)
    fresh = wanted - find_erased_addresses(session, wanted)
    reasons = dict.fromkeys(sorted(fresh), SuppressionReason.MANUAL)
    new = len(suppression_list.add_suppressions(session, reasons, source=source, now=now))
    added = AddedSuppressions(new, len(wanted) - new)
    _record_suppression_audit(
        session, by, "suppressions_added", {"new": added.new, "there": added.there}, now
    )
    return added


def get_liftable_suppression(session: Session, canonical: str) -> Suppression:
    """A suppression that an admin made. Raises NotFound, and Conflict for any other."""
    found = session.get(Suppression, canonical, with_for_update=True, populate_existing=True)
    if found is None:
        raise NotFound("This address is not suppressed.")
    if not may_lift_suppression(found):
        raise Conflict("Only a suppression that an admin made by hand can be lifted.")
    return found


def lift_manual_suppression(session: Session, canonical: str, *, by: Actor, now: datetime) -> None:
    """Take back what an admin suppressed. Raises NotFound and Conflict as `get_liftable` does."""
    get_liftable_suppression(session, canonical)
    suppression_list.lift_suppressions(session, Suppression.canonical == canonical, now=now)
    who = select(Subscriber.id).where(Subscriber.canonical == canonical)
    subscriber_id = session.scalar(who)
    if subscriber_id is None:
        _record_suppression_audit(session, by, "address_lifted", None, now)
    else:
        subject = {"kind": "subscriber", "subject": subscriber_id}
        record_audit_entry(session, by, "suppression_lifted", **subject, now=now)  # type: ignore[arg-type]


def record_suppression_export(session: Session, *, by: Actor, now: datetime) -> None:
    """Write down that the list was taken out."""
    _record_suppression_audit(session, by, "suppressions_exported", None, now)


def _record_suppression_audit(
    session: Session, by: Actor, what: str, detail: dict[str, object] | None, now: datetime
) -> None:
    record_audit_entry(
        session, by, what, kind="suppression", subject="list", detail=detail, now=now
    )


def _split_pasted(text: str) -> Iterator[str]:
    for line in text.splitlines():
        for part in re.split(r"[,;\t]", line):
            bracketed = _IN_BRACKETS.search(part)
            yield from [bracketed[1]] if bracketed else part.split()
