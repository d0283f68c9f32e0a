"""Adding to the house's list of whom it mails no more by hand, lifting, and taking it out."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.accounts.auditing import Doer, note
from nif.audience.acting import BY_HAND, may_lift, reason_by_hand
from nif.errors import Conflict, Invalid, NotFound
from nif.subscriptions import suppressing
from nif.subscriptions.addresses import read_address
from nif.subscriptions.forgetting import is_erased_many
from nif.subscriptions.models import Subscriber, Suppression, SuppressionReason

MOST = 10_000
"""Addresses that are added at once; for more there are imports."""

_IN_BRACKETS = re.compile(r"<([^<>]*)>")


@dataclass(frozen=True)
class Pasted:
    """What was pasted: the addresses in it, and what is none."""

    canonicals: frozenset[str]
    wrong: Sequence[str]


@dataclass(frozen=True)
class Added:
    """How many addresses are suppressed now that were not, and how many were already."""

    new: int
    there: int


def read_pasted(text: str) -> Pasted:
    """The addresses in a text: one a line, or with commas, semicolons or spaces between them.

    Raises Invalid where there is nothing, or too much.
    """
    parts = list(_parts(text))
    if not parts:
        raise Invalid({"addresses": "Give at least one address."})
    if len(parts) > MOST:
        raise Invalid({"addresses": f"At most {MOST:,} addresses at once; import a file of more."})
    canonicals, wrong = set(), []
    for part in parts:
        try:
            canonicals.add(read_address(part).canonical)
        except Invalid:
            wrong.append(part)
    return Pasted(frozenset(canonicals), wrong)


def add(
    session: Session, canonicals: Iterable[str], reason: str, *, by: Doer, now: datetime
) -> Added:
    """Never mail these addresses again, because of `reason`. What stands stays as it is.

    Who was erased counts as there already. Raises Invalid for a reason that is none.
    """
    source = f"{BY_HAND}{reason_by_hand(reason)}"
    wanted = set(canonicals)
    fresh = wanted - is_erased_many(session, wanted)
    reasons = dict.fromkeys(sorted(fresh), SuppressionReason.MANUAL)
    new = len(suppressing.add(session, reasons, source=source, now=now))
    added = Added(new, len(wanted) - new)
    _note(session, by, "suppressions_added", {"new": added.new, "there": added.there}, now)
    return added


def get_liftable(session: Session, canonical: str) -> Suppression:
    """A suppression that an admin made. Raises NotFound, and Conflict for any other."""
    found = session.get(Suppression, canonical, with_for_update=True, populate_existing=True)
    if found is None:
        raise NotFound("This address is not suppressed.")
    if not may_lift(found):
        raise Conflict("Only a suppression that an admin made by hand can be lifted.")
    return found


def lift(session: Session, canonical: str, *, by: Doer, now: datetime) -> None:
    """Take back what an admin suppressed. Raises NotFound and Conflict as `get_liftable` does."""
    get_liftable(session, canonical)
    suppressing.end(session, Suppression.canonical == canonical, now=now)
    who = select(Subscriber.id).where(Subscriber.canonical == canonical)
    subscriber_id = session.scalar(who)
    if subscriber_id is None:
        _note(session, by, "address_lifted", None, now)
    else:
        subject = {"kind": "subscriber", "subject": subscriber_id}
        note(session, by, "suppression_lifted", **subject, now=now)  # type: ignore[arg-type]


def note_export(session: Session, *, by: Doer, now: datetime) -> None:
    """Write down that the list was taken out."""
    _note(session, by, "suppressions_exported", None, now)


def _note(
    session: Session, by: Doer, what: str, detail: dict[str, object] | None, now: datetime
) -> None:
    note(session, by, what, kind="suppression", subject="list", detail=detail, now=now)


def _parts(text: str) -> Iterator[str]:
    for line in text.splitlines():
        for part in re.split(r"[,;\t]", line):
            bracketed = _IN_BRACKETS.search(part)
            yield from [bracketed[1]] if bracketed else part.split()
