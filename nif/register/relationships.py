"""Relationships: adding, changing and ending them, and which are in force on a day.

Each public change becomes an entry in the ledger. Relationships that are disclosed only under
stories that name the party are in no list, so they are not in the ledger either.
"""

import calendar
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from nif.accounts.models import Account
from nif.database import count_rows, delete_unreferenced, get_row
from nif.errors import Conflict, Invalid
from nif.ledger.chain import append_entry
from nif.ledger.models import LedgerEntryKind
from nif.ledger.payloads import FORM
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
from nif.register.relationship_types import (
    RELATIONSHIP_TYPES,
    PublisherNames,
    RelationshipTypeRules,
    write_relationship_sentences,
)

DEFAULT_LOOKBACK: Final = -1
MAX_URL_LENGTH = 2000

MAX_FIELD_LENGTHS = {
    "our_side_name": 100,
    "detail": 200,
    "custom_sentence": 400,
    "evidence_url": MAX_URL_LENGTH,
}
PAYLOAD_FORM: Final = 1
"""The form of a relationship's payload in the ledger: count it up when its fields change."""


@dataclass(frozen=True)
class RelationshipInput:
    """A relationship as an editor enters it.

    What is None, and a look-back of DEFAULT_LOOKBACK, follows from the type; a look-back of None
    months has no limit. `custom_sentence` replaces the type's sentence.
    """

    our_side: OurSide
    type: RelationshipType
    our_side_name: str = ""
    account_id: int | None = None
    detail: str = ""
    since: date | None = None
    until: date | None = None
    lookback_months: int | None = DEFAULT_LOOKBACK
    direction: RelationshipDirection | None = None
    materiality: Materiality | None = None
    amount_band: AmountBand = AmountBand.NONE
    custom_sentence: str = ""
    visibility: RelationshipVisibility | None = None
    evidence_url: str = ""


@dataclass(frozen=True)
class RegisterContext:
    """Who edits the register, when, and what NIF and its owner are called in sentences."""

    publisher: PublisherNames
    by: int | None
    now: datetime


@dataclass(frozen=True)
class OurSideRelationships:
    """Someone on our side, and the public relationships of that side."""

    our_side: OurSide
    name: str
    relationships: Sequence[Relationship]


def get_relationship(session: Session, relationship_id: int, *, lock: bool = False) -> Relationship:
    """Raises NotFound."""
    missing = "There is no such relationship in the register."
    return get_row(session, Relationship, relationship_id, missing, lock=lock)


def list_relationships_in_force(
    session: Session, party_ids: Collection[int], *, on: date
) -> list[Relationship]:
    """The relationships of these parties that are current or within their look-back on a day.

    Those of everything that a party is part of count too, and those of the party that it was merged
    into. The most material come first. One query; each relationship comes with its party.
    """
    if not party_ids:
        return []
    # The parties and all that they are part of; UNION ends at a circle.
    own = func.coalesce(Party.merged_into_id, Party.id).label("id")
    line = select(own).where(Party.id.in_(party_ids)).cte("lineage", recursive=True)
    above = select(Party.parent_id).join(line, Party.id == line.c.id)
    line = line.union(above.where(Party.parent_id.is_not(None)))
    query = select_relationships_in_force(on).where(Relationship.party_id.in_(select(line.c.id)))
    relationships = session.scalars(query.order_by(Relationship.id)).all()
    return sorted(relationships, key=lambda each: list(Materiality).index(each.materiality))


def select_relationships_in_force(on: date) -> Select[Relationship]:
    """Selects the relationships that are current or within their look-back on a day."""
    return select(Relationship).where(
        or_(Relationship.since.is_(None), Relationship.since <= on),
        or_(Relationship.last_disclosure_day.is_(None), Relationship.last_disclosure_day >= on),
    )


def list_relationships_of(session: Session, party: Party) -> Sequence[Relationship]:
    """All relationships of a party, past ones too, the last changed first."""
    query = select(Relationship).where(Relationship.party_id == party.id)
    return session.scalars(query.order_by(Relationship.changed_at.desc())).all()


def list_public_relationships(session: Session, *, on: date) -> list[OurSideRelationships]:
    """The public relationships in force on a day, by who on our side has them."""
    public = Relationship.visibility == RelationshipVisibility.PUBLIC
    query = select_relationships_in_force(on).where(public).join(Relationship.party)
    sides: dict[tuple[OurSide, str], list[Relationship]] = {}
    for relationship in session.scalars(query.order_by(Party.folded_name, Relationship.id)):
        is_named = relationship.our_side in {OurSide.PRODUCT, OurSide.ACCOUNT}
        side = relationship.our_side, relationship.our_side_name if is_named else ""
        sides.setdefault(side, []).append(relationship)
    keys = sorted(sides, key=lambda key: (list(OurSide).index(key[0]), key[1].casefold()))
    return [OurSideRelationships(*key, sides[key]) for key in keys]


def count_relationships(session: Session, visibility: RelationshipVisibility, *, on: date) -> int:
    """How many are in force on a day that are public, or that only stories disclose."""
    query = select_relationships_in_force(on).where(Relationship.visibility == visibility)
    return count_rows(session, query)


def add_relationship(
    session: Session, party: Party, values: RelationshipInput, context: RegisterContext
) -> Relationship:
    """Add a relationship; where it is public, the ledger records it.

    Raises Invalid; Conflict for a party that was merged into another.
    """
    if party.merged_into_id is not None:
        raise Conflict(f"{party.name} was merged into another party.")
    relationship = Relationship(party=party, changed_by_id=context.by, changed_at=context.now)
    with session.no_autoflush:
        _apply_input(session, relationship, party, values, context.publisher)
    session.add(relationship)
    session.flush()
    _record_change(session, relationship, None, context)
    return relationship


def change_relationship(
    session: Session,
    relationship: Relationship,
    values: RelationshipInput,
    context: RegisterContext,
    *,
    version: int,
) -> None:
    """Replace the fields of a relationship. Drafts that decided about it have to decide again.

    `version` is the one that the editor saw. Raises Invalid; Conflict where someone else has
    changed the relationship in between.
    """
    if relationship.version != version:
        raise Conflict("Someone else changed this relationship while you were editing it.")
    before = _public_relationship_of(relationship, context)
    _apply_input(session, relationship, relationship.party, values, context.publisher)
    relationship.version += 1
    relationship.changed_by_id, relationship.changed_at = context.by, context.now
    session.flush()
    _record_change(session, relationship, before, context)


def end_relationship(
    session: Session, relationship: Relationship, until: date, context: RegisterContext
) -> None:
    """Set the last day of a relationship; it is disclosed until its look-back is over.

    Raises Invalid for a day before it began.
    """
    values = replace(relationship_input_of(relationship), until=until)
    change_relationship(session, relationship, values, context, version=relationship.version)


def delete_relationship(
    session: Session, relationship: Relationship, context: RegisterContext
) -> None:
    """Delete a relationship that was entered by mistake.

    The ledger keeps that it was on the public list. Raises Conflict where a story has decided about
    it.
    """
    was_public = _public_relationship_of(relationship, context) is not None
    decided = "Stories have decided about this relationship, so it cannot be deleted."
    delete_unreferenced(session, relationship, f"{decided} End it instead.")
    if was_public:
        # It has left the public list; nothing else about it is recorded.
        _append_entry(session, relationship, "withdrawn", {}, context)


def preview_relationship(
    session: Session, party: Party, values: RelationshipInput, publisher: PublisherNames
) -> Relationship:
    """An unsaved relationship, in no session, to show its sentences. Raises Invalid."""
    relationship = Relationship(party_id=party.id)
    _apply_input(session, relationship, party, values, publisher)
    return relationship


def relationship_input_of(relationship: Relationship) -> RelationshipInput:
    names = RelationshipInput.__dataclass_fields__
    return RelationshipInput(**{name: getattr(relationship, name) for name in names})


def compute_last_disclosure_day(until: date | None, lookback_months: int | None) -> date | None:
    """The last day on which a relationship is disclosed: calendar months, cut at a month's end."""
    if until is None or lookback_months is None:
        return None
    years, month = divmod(until.month - 1 + lookback_months, 12)
    year, month = until.year + years, month + 1
    return date(year, month, min(until.day, calendar.monthrange(year, month)[1]))


def _public_relationship_of(
    relationship: Relationship, context: RegisterContext
) -> Mapping[str, Any] | None:
    """What everyone may know about a relationship today; None where it is on no list."""
    on, publisher = context.now.date(), context.publisher
    is_told = relationship.last_disclosure_day is None or relationship.last_disclosure_day >= on
    if relationship.visibility is not RelationshipVisibility.PUBLIC or not is_told:
        return None
    names = {OurSide.NIF: publisher.name, OurSide.OWNER: publisher.owner}
    return {
        "our_side": {
            "kind": relationship.our_side.value,
            "name": names.get(relationship.our_side, relationship.our_side_name),
        },
        "party": {"name": relationship.party.name, "kind": relationship.party.kind.value},
        "type": relationship.type.value,
        "since": relationship.since and relationship.since.isoformat(),
        "until": relationship.until and relationship.until.isoformat(),
        "sentence": relationship.sentence_on(on),
    }


def _record_change(
    session: Session,
    relationship: Relationship,
    before: Mapping[str, Any] | None,
    context: RegisterContext,
) -> None:
    """Append the public side of a change to the ledger, as the last thing in the transaction.

    `before` is what readers could see so far. A change that they cannot see makes no entry.
    """
    after = _public_relationship_of(relationship, context)
    if after is not None and after != before:
        ends = before is not None and after["until"] and not before["until"]
        action = "ended" if ends else "changed" if before else "added"
        _append_entry(session, relationship, action, after, context)
    elif before is not None and after is None:
        if relationship.visibility is RelationshipVisibility.PUBLIC:
            until = relationship.until and relationship.until.isoformat()
            _append_entry(session, relationship, "ended", {**before, "until": until}, context)
        else:
            _append_entry(session, relationship, "withdrawn", {}, context)


def _append_entry(
    session: Session, relationship: Relationship, action: str, facts: Any, context: RegisterContext
) -> None:
    payload = {FORM: PAYLOAD_FORM, "action": action, "relationship": relationship.id, **facts}
    append_entry(session, LedgerEntryKind.RELATIONSHIP, payload, now=context.now)


def _apply_input(
    session: Session,
    relationship: Relationship,
    party: Party,
    values: RelationshipInput,
    publisher: PublisherNames,
) -> None:
    account = session.get(Account, values.account_id) if values.account_id else None
    if problems := dict(_input_problems(values, account)):
        raise Invalid(problems)
    rules = RELATIONSHIP_TYPES[values.type]
    for name, value in vars(values).items():
        setattr(relationship, name, value)
    if values.our_side is OurSide.ACCOUNT and account is not None:
        relationship.our_side_name = values.our_side_name or account.name
    else:
        relationship.account_id = None
    if rules.is_single_day:
        relationship.until = values.until or values.since
    if values.lookback_months == DEFAULT_LOOKBACK:
        relationship.lookback_months = rules.lookback_months
    relationship.direction = values.direction or rules.direction
    relationship.materiality = values.materiality or rules.materiality
    relationship.visibility = values.visibility or rules.visibility
    relationship.last_disclosure_day = compute_last_disclosure_day(
        relationship.until, relationship.lookback_months
    )
    write_relationship_sentences(relationship, party, publisher)


def _input_problems(
    values: RelationshipInput, account: Account | None
) -> Iterator[tuple[str, str]]:
    rules = RELATIONSHIP_TYPES[values.type]
    yield from _side_problems(values, rules, account)
    yield from _time_problems(values, rules)
    for field, most in MAX_FIELD_LENGTHS.items():
        if len(getattr(values, field)) > most:
            yield field, f"Make this shorter: at most {most} characters."
    if values.evidence_url and not is_web_address(values.evidence_url):
        yield "evidence_url", "Give the whole address, starting with https:// or http://."
    if rules.detail and not (values.detail or values.custom_sentence):
        yield "detail", f"The sentence needs this. {rules.detail}."
    if not (rules.current_sentence or values.custom_sentence):
        yield "custom_sentence", "Write the sentence that readers see."


def _side_problems(
    values: RelationshipInput, rules: RelationshipTypeRules, account: Account | None
) -> Iterator[tuple[str, str]]:
    if values.our_side not in rules.sides and not values.custom_sentence:
        sentence = "There is no sentence for this type and side. Choose another side or type."
        yield "our_side", sentence
    elif values.our_side is OurSide.PRODUCT and not values.our_side_name:
        yield "our_side_name", "Give the name of the product."
    elif values.our_side is OurSide.ACCOUNT and account is None:
        yield "account_id", "Choose the person on our side."


def _time_problems(
    values: RelationshipInput, rules: RelationshipTypeRules
) -> Iterator[tuple[str, str]]:
    if values.since and values.until and values.until < values.since:
        yield "until", "It cannot have ended before it began."
    elif rules.is_always_past and not values.until:
        yield "until", "A relationship of this type is always over: give the day on which it ended."
    if rules.is_single_day and not values.since:
        yield "since", "Give the day on which it happened."
    for field in ("since", "until"):
        day = getattr(values, field)
        if day and not 1800 <= day.year <= 2200:
            yield field, "Give a year between 1800 and 2200."
    months = values.lookback_months
    if months is not None and months != DEFAULT_LOOKBACK and not 0 <= months <= 1200:
        yield "lookback_months", "Give 0 to 1200 months."
