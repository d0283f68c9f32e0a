"""Suppressions that admins add by hand, and lifting them.

An admin can lift only what an admin added: a suppression by the reader or the provider stays.
Audit entries name no address.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.accounts.audit_log import Actor, record_audit_entry
from nif.errors import Conflict, Invalid, NotFound
from nif.mail.addresses import parse_address
from nif.subscriptions.models import Subscriber, Suppression, SuppressionReason
from nif.subscriptions.suppression_list import (
    add_suppressions,
    find_erased_addresses,
    lift_suppressions,
    suppress_address,
)

MANUAL_SOURCE = "manual: "
"""The prefix of the source of every suppression that an admin added; the reason follows."""

MAX_REASON_LENGTH = 200
MAX_PASTED_ADDRESSES = 10_000
"""Addresses added at once. Larger files are imported."""

NOT_LIFTABLE = "Only a suppression that an admin added can be lifted."
_IN_BRACKETS = re.compile(r"<([^<>]*)>")


@dataclass(frozen=True)
class PastedAddresses:
    """The addresses in a pasted text, and the parts that are no address."""

    canonicals: frozenset[str]
    invalid: Sequence[str]


@dataclass(frozen=True)
class AddedSuppressions:
    """How many addresses were added to the list, and how many were on it already."""

    added: int
    already_there: int


def parse_pasted_addresses(text: str) -> PastedAddresses:
    """The addresses in a text, separated by line breaks, commas, semicolons, tabs or spaces.

    Raises Invalid if there are none or more than MAX_PASTED_ADDRESSES.
    """
    parts = list(_split_pasted(text))
    if not parts:
        raise Invalid({"addresses": "Enter at least one address."})
    if len(parts) > MAX_PASTED_ADDRESSES:
        raise Invalid(
            {
                "addresses": f"At most {MAX_PASTED_ADDRESSES:,} addresses at once; "
                "import a file of more."
            }
        )
    canonicals, invalid = set(), []
    for part in parts:
        try:
            canonicals.add(parse_address(part).canonical)
        except Invalid:
            invalid.append(part)
    return PastedAddresses(frozenset(canonicals), invalid)


def parse_suppression_reason(typed: str) -> str:
    """An admin's reason as one line. Raises Invalid if it is missing, too long or unprintable."""
    reason = " ".join(typed.split())
    if not reason:
        raise Invalid({"reason": "Enter a reason that others will understand later."})
    if len(reason) > MAX_REASON_LENGTH or not reason.isprintable():
        raise Invalid({"reason": f"A reason has at most {MAX_REASON_LENGTH} plain characters."})
    return reason


def add_manual_suppressions(
    session: Session, canonicals: Iterable[str], reason: str, *, by: Actor, now: datetime
) -> AddedSuppressions:
    """Suppress these addresses. Existing suppressions keep their reason and source.

    Erased addresses count as already there. Raises Invalid for an invalid reason.
    """
    source = f"{MANUAL_SOURCE}{parse_suppression_reason(reason)}"
    wanted = set(canonicals)
    not_erased = wanted - find_erased_addresses(session, wanted)
    reasons = dict.fromkeys(sorted(not_erased), SuppressionReason.MANUAL)
    count = len(add_suppressions(session, reasons, source=source, now=now))
    added = AddedSuppressions(count, len(wanted) - count)
    detail: dict[str, object] = {"added": added.added, "already_there": added.already_there}
    _record_list_audit(session, by, "suppressions_added", detail, now)
    return added


def suppress_subscriber_as_admin(
    session: Session, subscriber: Subscriber, reason: str, *, by: Actor, now: datetime
) -> None:
    """Suppress a subscriber's address.

    Raises Invalid for an invalid reason; Conflict if the address is suppressed already, because
    lifting must never lift what the reader or the provider asked for.
    """
    source = f"{MANUAL_SOURCE}{parse_suppression_reason(reason)}"
    existing = session.get(Suppression, subscriber.canonical, with_for_update=True)
    if existing is not None:
        raise Conflict("This subscriber is suppressed already.")
    suppress_address(
        session, subscriber.canonical, SuppressionReason.MANUAL, source=source, now=now
    )
    _record_subscriber_audit(session, by, "subscriber_suppressed", subscriber.id, now)


def may_lift_suppression(suppression: Suppression | None) -> bool:
    """True if an admin added this suppression."""
    if suppression is None:
        return False
    is_manual = suppression.source.startswith(MANUAL_SOURCE)
    return is_manual and suppression.reason is SuppressionReason.MANUAL


def get_liftable_suppression(session: Session, canonical: str) -> Suppression:
    """A suppression that an admin added. Raises NotFound for none, Conflict for any other."""
    suppression = session.get(Suppression, canonical, with_for_update=True, populate_existing=True)
    if suppression is None:
        raise NotFound("This address is not suppressed.")
    if not may_lift_suppression(suppression):
        raise Conflict(NOT_LIFTABLE)
    return suppression


def lift_manual_suppression(session: Session, canonical: str, *, by: Actor, now: datetime) -> None:
    """Lift what an admin added. Raises NotFound and Conflict as `get_liftable_suppression` does."""
    get_liftable_suppression(session, canonical)
    lift_suppressions(session, Suppression.canonical == canonical, now=now)
    subscriber_id = session.scalar(select(Subscriber.id).where(Subscriber.canonical == canonical))
    if subscriber_id is None:
        _record_list_audit(session, by, "suppression_lifted", None, now)
    else:
        _record_subscriber_audit(session, by, "suppression_lifted", subscriber_id, now)


def lift_subscriber_suppression(
    session: Session, subscriber: Subscriber, *, by: Actor, now: datetime
) -> None:
    """Lift what an admin added. Raises Conflict for any other suppression, and for none."""
    try:
        get_liftable_suppression(session, subscriber.canonical)
    except NotFound:
        raise Conflict(NOT_LIFTABLE) from None
    lift_suppressions(session, Suppression.canonical == subscriber.canonical, now=now)
    _record_subscriber_audit(session, by, "suppression_lifted", subscriber.id, now)


def record_suppression_export(session: Session, *, by: Actor, now: datetime) -> None:
    """Record in the audit log that the suppression list was exported."""
    _record_list_audit(session, by, "suppressions_exported", None, now)


def _record_list_audit(
    session: Session, by: Actor, action: str, detail: dict[str, object] | None, now: datetime
) -> None:
    record_audit_entry(session, by, action, "suppression", "list", detail=detail, now=now)


def _record_subscriber_audit(
    session: Session, by: Actor, action: str, subscriber_id: int, now: datetime
) -> None:
    record_audit_entry(session, by, action, "subscriber", subscriber_id, now=now)


def _split_pasted(text: str) -> Iterator[str]:
    for line in text.splitlines():
        for part in re.split(r"[,;\t]", line):
            bracketed = _IN_BRACKETS.search(part)
            yield from [bracketed[1]] if bracketed else part.split()
