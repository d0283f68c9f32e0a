"""Writing down what stands between a party and us: beginning it, changing it, ending it.

What stands between the parties of a story and us, on the day of the story.

What the ledger holds of the register: each public relationship as it began, changed and ended.

What is told only where a story names the party stays out of it, as it stays off every list.
"""

import calendar
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Select, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from nif.accounts.models import Account
from nif.errors import Conflict, Invalid, NotFound
from nif.ledger.chain import append_entry
from nif.ledger.forms import FORM
from nif.ledger.models import LedgerEntryKind
from nif.links import is_web_address
from nif.register.models import (
    AmountBand,
    Materiality,
    OurSide,
    Party,
    Relationship,
    RelationshipDirection,
    RelationshipType,
    RelationshipVisibility,
)
from nif.register.parties import MAX_URL_LENGTH
from nif.register.relationship_types import (
    RELATIONSHIP_TYPES,
    PublisherNames,
    RelationshipTypeRules,
    write_relationship_sentences,
)

_MATERIALITY_ORDER = {Materiality.ALWAYS: 0, Materiality.DEFAULT: 1, Materiality.CONTEXT: 2}


def list_relationships_in_force(
    session: Session, party_ids: Collection[int], *, on: date
) -> list[Relationship]:
    """All that stands or is within its look-back on that day, what must be told first.

    A party brings up what stands with all that it is part of, and with the party that it was
    merged into. One query; each relationship comes with its party.
    """
    if not party_ids:
        return []
    query = select_relationships_in_force(on).where(
        Relationship.party_id.in_(_select_lineage(party_ids))
    )
    found = session.scalars(query.order_by(Relationship.id)).all()
    return sorted(found, key=lambda each: _MATERIALITY_ORDER[each.materiality])


def select_relationships_in_force(on: date) -> Select[Relationship]:
    """The relationships that stand or are within their look-back on a day."""
    return select(Relationship).where(
        or_(Relationship.since.is_(None), Relationship.since <= on),
        or_(Relationship.last_day.is_(None), Relationship.last_day >= on),
    )


def _select_lineage(party_ids: Collection[int]) -> Select[int]:
    """The ids of the parties, and of all that they are part of. UNION, so a circle ends it."""
    own = func.coalesce(Party.merged_into_id, Party.id).label("id")
    line = select(own).where(Party.id.in_(party_ids)).cte("lineage", recursive=True)
    above = select(Party.parent_id).join(line, Party.id == line.c.id)
    line = line.union(above.where(Party.parent_id.is_not(None)))
    return select(line.c.id)


PublicRelationship = Mapping[str, Any] | None
"""What everyone may know of a relationship; None where it is on no list."""


def public_relationship_of(
    relationship: Relationship, house: PublisherNames, on: date
) -> PublicRelationship:
    """What everyone may know of a relationship on a day."""
    is_told = relationship.last_day is None or relationship.last_day >= on
    if relationship.visibility is not RelationshipVisibility.PUBLIC or not is_told:
        return None
    names = {OurSide.NIF: house.name, OurSide.OWNER: house.owner}
    return {
        "our_side": {
            "kind": relationship.ours.value,
            "name": names.get(relationship.ours, relationship.ours_label),
        },
        "party": {"name": relationship.party.name, "kind": relationship.party.kind.value},
        "type": relationship.nature.value,
        "since": _iso_date(relationship.since),
        "until": _iso_date(relationship.until),
        "sentence": relationship.says(on),
    }


def record_relationship_change(
    session: Session,
    relationship: Relationship,
    before: PublicRelationship,
    house: PublisherNames,
    *,
    now: datetime,
) -> None:
    """Put what readers can see of a change at the end of the ledger, last in its transaction.

    `before` is what they could see until now. A change that they cannot see is no entry.
    """
    after = public_relationship_of(relationship, house, now.date())
    if after is not None:
        action = _classify_change(before, after)
        if action:
            _append_relationship_entry(session, relationship, action, after, now=now)
    elif before is not None and relationship.visibility is RelationshipVisibility.PUBLIC:
        over = {**before, "until": _iso_date(relationship.until)}
        _append_relationship_entry(session, relationship, "ended", over, now=now)
    elif before is not None:
        record_relationship_withdrawal(session, relationship, now=now)


def record_relationship_withdrawal(
    session: Session, relationship: Relationship, *, now: datetime
) -> None:
    """Say that a relationship is on the public list no more, and no word more about it."""
    _append_relationship_entry(session, relationship, "withdrawn", {}, now=now)


def _classify_change(before: PublicRelationship, after: Mapping[str, Any]) -> str:
    """What was done, in a word; empty where readers see what they saw before."""
    if before is None:
        return "added"
    if before == after:
        return ""
    return "ended" if after["until"] and not before["until"] else "changed"


def _append_relationship_entry(
    session: Session,
    relationship: Relationship,
    action: str,
    facts: Mapping[str, Any],
    *,
    now: datetime,
) -> None:
    payload = {FORM: PAYLOAD_FORM, "action": action, "relationship": relationship.id, **facts}
    append_entry(session, LedgerEntryKind.RELATIONSHIP, payload, now=now)


def _iso_date(day: date | None) -> str | None:
    return day.isoformat() if day else None


PAYLOAD_FORM: Final = 1
"""The form of a relationship's payload in the ledger: count it up when its fields change."""

DEFAULT_LOOKBACK: Final = -1
MAX_FIELD_LENGTHS = {
    "ours_label": 100,
    "detail": 200,
    "wording": 400,
    "evidence_url": MAX_URL_LENGTH,
}


@dataclass(frozen=True)
class RelationshipInput:
    """A relationship, as an editor gives it.

    What is None, and a look-back of BY_NATURE, is as usual for its nature; a look-back of None
    months has no limit. `wording` replaces the sentence of the nature.
    """

    ours: OurSide
    nature: RelationshipType
    ours_label: str = ""
    account_id: int | None = None
    detail: str = ""
    since: date | None = None
    until: date | None = None
    lookback_months: int | None = DEFAULT_LOOKBACK
    direction: RelationshipDirection | None = None
    materiality: Materiality | None = None
    amount_band: AmountBand = AmountBand.NONE
    wording: str = ""
    visibility: RelationshipVisibility | None = None
    evidence_url: str = ""


@dataclass(frozen=True)
class RegisterContext:
    """Who writes, when, and what the house is called in the sentences."""

    house: PublisherNames
    by: int | None
    now: datetime


def get_relationship(session: Session, relationship_id: int, *, lock: bool = False) -> Relationship:
    """Raises NotFound."""
    lock_it = {"of": Relationship} if lock else None
    found = session.get(Relationship, relationship_id, with_for_update=lock_it)
    if found is None:
        raise NotFound("There is no such relationship in the register.")
    return found


def add_relationship(
    session: Session, party: Party, copy: RelationshipInput, pen: RegisterContext
) -> Relationship:
    """Begin one; the ledger tells of it where it is public.

    Raises Invalid; Conflict for a party that was merged into another.
    """
    if party.merged_into_id is not None:
        raise Conflict(f"{party.name} was merged into another party.")
    relationship = Relationship(party=party, changed_by_id=pen.by, changed_at=pen.now)
    with session.no_autoflush:
        _apply_input(session, relationship, copy, pen.house)
    session.add(relationship)
    session.flush()
    record_relationship_change(session, relationship, None, pen.house, now=pen.now)
    return relationship


def change_relationship(
    session: Session,
    relationship: Relationship,
    copy: RelationshipInput,
    pen: RegisterContext,
    *,
    version: int,
) -> None:
    """Replace what the register says; stories that decided about it before are asked again.

    `version` is the one that the editor saw. Raises Invalid, and Conflict where someone else has
    changed it in between.
    """
    if relationship.version != version:
        raise Conflict("Someone else changed this relationship while you were writing.")
    before = public_relationship_of(relationship, pen.house, pen.now.date())
    _apply_input(session, relationship, copy, pen.house)
    relationship.version += 1
    relationship.changed_by_id, relationship.changed_at = pen.by, pen.now
    session.flush()
    record_relationship_change(session, relationship, before, pen.house, now=pen.now)


def end_relationship(
    session: Session, relationship: Relationship, until: date, pen: RegisterContext
) -> None:
    """Write down the last day of a relationship; it is told until its look-back is over.

    Raises Invalid for a day before it began.
    """
    copy = replace(relationship_input_of(relationship), until=until)
    change_relationship(session, relationship, copy, pen, version=relationship.version)


def delete_relationship(session: Session, relationship: Relationship, pen: RegisterContext) -> None:
    """Take away what never stood. Raises Conflict where a story has decided about it.

    That it was on the public list until then stays in the ledger.
    """
    was_public = public_relationship_of(relationship, pen.house, pen.now.date()) is not None
    try:
        with session.begin_nested():
            session.delete(relationship)
            session.flush()
    except IntegrityError:
        raise Conflict(
            "Stories have decided about this relationship, so it stays on record: end it instead."
        ) from None
    if was_public:
        record_relationship_withdrawal(session, relationship, now=pen.now)


def relationship_input_of(relationship: Relationship) -> RelationshipInput:
    names = RelationshipInput.__dataclass_fields__
    return RelationshipInput(**{name: getattr(relationship, name) for name in names})


def preview_relationship(
    session: Session, party: Party, copy: RelationshipInput, house: PublisherNames
) -> Relationship:
    """The relationship that a copy would make, in no session: to show its sentence.

    Raises Invalid.
    """
    relationship = Relationship(party_id=party.id)
    _apply_input(session, relationship, copy, house, party=party)
    return relationship


def compute_last_disclosure_day(until: date | None, lookback_months: int | None) -> date | None:
    """The last day on which it is told: months are counted by the calendar, at its ends cut."""
    if until is None or lookback_months is None:
        return None
    years, month = divmod(until.month - 1 + lookback_months, 12)
    year, month = until.year + years, month + 1
    return date(year, month, min(until.day, calendar.monthrange(year, month)[1]))


def _apply_input(
    session: Session,
    relationship: Relationship,
    copy: RelationshipInput,
    house: PublisherNames,
    *,
    party: Party | None = None,
) -> None:
    account = session.get(Account, copy.account_id) if copy.account_id else None
    if found := dict(_input_problems(copy, account)):
        raise Invalid(found)
    terms = RELATIONSHIP_TYPES[copy.nature]
    for name, value in vars(copy).items():
        setattr(relationship, name, value)
    if copy.ours is OurSide.ACCOUNT and account is not None:
        relationship.ours_label = copy.ours_label or account.name
    else:
        relationship.account_id = None
    if terms.once:
        relationship.until = copy.until or copy.since
    if copy.lookback_months == DEFAULT_LOOKBACK:
        relationship.lookback_months = terms.lookback_months
    relationship.direction = copy.direction or terms.direction
    relationship.materiality = copy.materiality or terms.materiality
    relationship.visibility = copy.visibility or terms.visibility
    relationship.last_day = compute_last_disclosure_day(
        relationship.until, relationship.lookback_months
    )
    write_relationship_sentences(relationship, party or relationship.party, house)


def _input_problems(copy: RelationshipInput, account: Account | None) -> Iterator[tuple[str, str]]:
    terms = RELATIONSHIP_TYPES[copy.nature]
    yield from _side_problems(copy, terms, account)
    yield from _time_problems(copy, terms)
    for field, most in MAX_FIELD_LENGTHS.items():
        if len(getattr(copy, field)) > most:
            yield field, f"Make this shorter: {most} characters are the most."
    if copy.evidence_url and not is_web_address(copy.evidence_url):
        yield "evidence_url", "Give the whole address, beginning with https:// or http://."
    if terms.detail and not (copy.detail or copy.wording):
        yield "detail", f"Its sentence needs this. {terms.detail}."
    if not (terms.standing or copy.wording):
        yield "wording", "Write the sentence that readers are told."


def _side_problems(
    copy: RelationshipInput, terms: RelationshipTypeRules, account: Account | None
) -> Iterator[tuple[str, str]]:
    if copy.ours not in terms.sides and not copy.wording:
        yield "ours", "This nature has no sentence for this side. Choose another side, or nature."
    elif copy.ours is OurSide.PRODUCT and not copy.ours_label:
        yield "ours_label", "Give the name of the product."
    elif copy.ours is OurSide.ACCOUNT and account is None:
        yield "account_id", "Choose the person on our side."


def _time_problems(
    copy: RelationshipInput, terms: RelationshipTypeRules
) -> Iterator[tuple[str, str]]:
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
    if months is not None and months != DEFAULT_LOOKBACK and not 0 <= months <= 1200:
        yield "lookback_months", "Give 0 to 1200 months."
