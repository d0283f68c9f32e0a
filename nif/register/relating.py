"""Writing down what stands between a party and us: beginning it, changing it, ending it."""

import calendar
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from nif.accounts.models import Account
from nif.errors import Conflict, Invalid, NotFound
from nif.links import is_address
from nif.register.keeping import LONGEST_ADDRESS
from nif.register.models import (
    AmountBand,
    Direction,
    Materiality,
    Nature,
    Ours,
    Party,
    Relationship,
    Visibility,
)
from nif.register.natures import NATURES, Terms
from nif.register.recording import in_public, withdraw, write_down
from nif.register.wording import House, write

BY_NATURE: Final = -1
LONGEST = {"ours_label": 100, "detail": 200, "wording": 400, "evidence_url": LONGEST_ADDRESS}


@dataclass(frozen=True)
class RelationshipCopy:
    """A relationship, as an editor gives it.

    What is None, and a look-back of BY_NATURE, is as usual for its nature; a look-back of None
    months has no limit. `wording` replaces the sentence of the nature.
    """

    ours: Ours
    nature: Nature
    ours_label: str = ""
    account_id: int | None = None
    detail: str = ""
    since: date | None = None
    until: date | None = None
    lookback_months: int | None = BY_NATURE
    direction: Direction | None = None
    materiality: Materiality | None = None
    amount_band: AmountBand = AmountBand.NONE
    wording: str = ""
    visibility: Visibility | None = None
    evidence_url: str = ""


@dataclass(frozen=True)
class Pen:
    """Who writes, when, and what the house is called in the sentences."""

    house: House
    by: int | None
    now: datetime


def get_relationship(session: Session, relationship_id: int, *, lock: bool = False) -> Relationship:
    """Raises NotFound."""
    lock_it = {"of": Relationship} if lock else None
    found = session.get(Relationship, relationship_id, with_for_update=lock_it)
    if found is None:
        raise NotFound("There is no such relationship in the register.")
    return found


def relate(session: Session, party: Party, copy: RelationshipCopy, pen: Pen) -> Relationship:
    """Begin one; the ledger tells of it where it is public.

    Raises Invalid; Conflict for a party that was merged into another.
    """
    if party.merged_into_id is not None:
        raise Conflict(f"{party.name} was merged into another party.")
    relationship = Relationship(party=party, changed_by_id=pen.by, changed_at=pen.now)
    with session.no_autoflush:
        _write(session, relationship, copy, pen.house)
    session.add(relationship)
    session.flush()
    write_down(session, relationship, None, pen.house, now=pen.now)
    return relationship


def change(
    session: Session,
    relationship: Relationship,
    copy: RelationshipCopy,
    pen: Pen,
    *,
    version: int,
) -> None:
    """Replace what the register says; stories that decided about it before are asked again.

    `version` is the one that the editor saw. Raises Invalid, and Conflict where someone else has
    changed it in between.
    """
    if relationship.version != version:
        raise Conflict("Someone else changed this relationship while you were writing.")
    before = in_public(relationship, pen.house, pen.now.date())
    _write(session, relationship, copy, pen.house)
    relationship.version += 1
    relationship.changed_by_id, relationship.changed_at = pen.by, pen.now
    session.flush()
    write_down(session, relationship, before, pen.house, now=pen.now)


def end(session: Session, relationship: Relationship, until: date, pen: Pen) -> None:
    """Write down the last day of a relationship; it is told until its look-back is over.

    Raises Invalid for a day before it began.
    """
    copy = replace(copy_of(relationship), until=until)
    change(session, relationship, copy, pen, version=relationship.version)


def delete(session: Session, relationship: Relationship, pen: Pen) -> None:
    """Take away what never stood. Raises Conflict where a story has decided about it.

    That it was on the public list until then stays in the ledger.
    """
    was_public = in_public(relationship, pen.house, pen.now.date()) is not None
    try:
        with session.begin_nested():
            session.delete(relationship)
            session.flush()
    except IntegrityError:
        raise Conflict(
            "Stories have decided about this relationship, so it stays on record: end it instead."
        ) from None
    if was_public:
        withdraw(session, relationship, now=pen.now)


def copy_of(relationship: Relationship) -> RelationshipCopy:
    names = RelationshipCopy.__dataclass_fields__
    return RelationshipCopy(**{name: getattr(relationship, name) for name in names})


def sketch(session: Session, party: Party, copy: RelationshipCopy, house: House) -> Relationship:
    """The relationship that a copy would make, in no session: to show its sentence.

    Raises Invalid.
    """
    relationship = Relationship(party_id=party.id)
    _write(session, relationship, copy, house, party=party)
    return relationship


def last_day(until: date | None, lookback_months: int | None) -> date | None:
    """The last day on which it is told: months are counted by the calendar, at its ends cut."""
    if until is None or lookback_months is None:
        return None
    years, month = divmod(until.month - 1 + lookback_months, 12)
    year, month = until.year + years, month + 1
    return date(year, month, min(until.day, calendar.monthrange(year, month)[1]))


def _write(
    session: Session,
    relationship: Relationship,
    copy: RelationshipCopy,
    house: House,
    *,
    party: Party | None = None,
) -> None:
    account = session.get(Account, copy.account_id) if copy.account_id else None
    if found := dict(_problems(copy, account)):
        raise Invalid(found)
    terms = NATURES[copy.nature]
    for name, value in vars(copy).items():
        setattr(relationship, name, value)
    if copy.ours is Ours.ACCOUNT and account is not None:
        relationship.ours_label = copy.ours_label or account.name
    else:
        relationship.account_id = None
    if terms.once:
        relationship.until = copy.until or copy.since
    if copy.lookback_months == BY_NATURE:
        relationship.lookback_months = terms.lookback_months
    relationship.direction = copy.direction or terms.direction
    relationship.materiality = copy.materiality or terms.materiality
    relationship.visibility = copy.visibility or terms.visibility
    relationship.last_day = last_day(relationship.until, relationship.lookback_months)
    write(relationship, party or relationship.party, house)


def _problems(copy: RelationshipCopy, account: Account | None) -> Iterator[tuple[str, str]]:
    terms = NATURES[copy.nature]
    yield from _side_problems(copy, terms, account)
    yield from _time_problems(copy, terms)
    for field, most in LONGEST.items():
        if len(getattr(copy, field)) > most:
            yield field, f"Make this shorter: {most} characters are the most."
    if copy.evidence_url and not is_address(copy.evidence_url):
        yield "evidence_url", "Give the whole address, beginning with https:// or http://."
    if terms.detail and not (copy.detail or copy.wording):
        yield "detail", f"Its sentence needs this. {terms.detail}."
    if not (terms.standing or copy.wording):
        yield "wording", "Write the sentence that readers are told."


def _side_problems(
    copy: RelationshipCopy, terms: Terms, account: Account | None
) -> Iterator[tuple[str, str]]:
    if copy.ours not in terms.sides and not copy.wording:
        yield "ours", "This nature has no sentence for this side. Choose another side, or nature."
    elif copy.ours is Ours.PRODUCT and not copy.ours_label:
        yield "ours_label", "Give the name of the product."
    elif copy.ours is Ours.ACCOUNT and account is None:
        yield "account_id", "Choose the person on our side."


def _time_problems(copy: RelationshipCopy, terms: Terms) -> Iterator[tuple[str, str]]:
    if copy.since and copy.until and copy.until < copy.since:
        yield "until", "It cannot have ended before it began."
    elif terms.past and not copy.until:
        yield "until", "This is over by its nature: give the day on which it ended."
    if terms.once and not copy.since:
        yield "since", "Give the day on which it happened."
    for field in ("since", "until"):
        day = getattr(copy, field)
        if day and not 1800 <= day.year <= 2200:
            yield field, "Give a year between 1800 and 2200."
    months = copy.lookback_months
    if months is not None and months != BY_NATURE and not 0 <= months <= 1200:
        yield "lookback_months", "Give 0 to 1200 months."
