"""What the pages about the register ask for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, selectinload

from nif.accounts.models import Account
from nif.paging import Page, paginate
from nif.register.models import (
    OurSide,
    Party,
    PartyAlias,
    PartyKind,
    Relationship,
    RelationshipVisibility,
)
from nif.register.name_matching import fold_name
from nif.register.relationships import select_relationships_in_force


@dataclass(frozen=True)
class OurSideRelationships:
    """Someone on our side, and the public relationships of that side."""

    our_side: OurSide
    name: str
    relationships: Sequence[Relationship]


def list_parties(
    session: Session,
    *,
    on: date,
    text: str = "",
    kind: PartyKind | None = None,
    after: str | None = None,
    size: int = 50,
) -> Page[tuple[Party, bool]]:
    """The parties with `text` in their name or an alias, by name.

    Each with whether it has a relationship in force on the day.
    """
    in_force = select_relationships_in_force(on).where(Relationship.party_id == Party.id)
    query = select(Party, in_force.exists()).where(Party.folded_name.is_not(None))
    if kind:
        query = query.where(Party.kind == kind)
    if folded_text := fold_name(text):
        aliased = select(PartyAlias.party_id).where(
            PartyAlias.folded_name.contains(folded_text, autoescape=True)
        )
        own_name = Party.folded_name.contains(folded_text, autoescape=True)
        query = query.where(or_(own_name, Party.id.in_(aliased)))
    query = query.options(selectinload(Party.aliases))
    return paginate(session, query, Party.folded_name, after=after, size=size, ascending=True)


def list_relationships_of(session: Session, party: Party) -> Sequence[Relationship]:
    """All relationships of a party, past ones too, the last changed first."""
    query = select(Relationship).where(Relationship.party_id == party.id)
    return session.scalars(query.order_by(Relationship.changed_at.desc())).all()


def list_child_parties(session: Session, party: Party, *, most: int = 100) -> Sequence[Party]:
    query = select(Party).where(Party.parent_id == party.id).order_by(Party.folded_name)
    return session.scalars(query.limit(most)).all()


def list_staff_accounts(session: Session) -> Sequence[Account]:
    """The accounts that a relationship can belong to."""
    return session.scalars(select(Account).order_by(Account.name, Account.id)).all()


def list_public_relationships(session: Session, *, on: date) -> list[OurSideRelationships]:
    """The public relationships in force on a day, by who on our side has them."""
    query = (
        select_relationships_in_force(on)
        .where(Relationship.visibility == RelationshipVisibility.PUBLIC)
        .join(Relationship.party)
    )
    sides: dict[tuple[OurSide, str], list[Relationship]] = {}
    for relationship in session.scalars(query.order_by(Party.folded_name, Relationship.id)):
        name = (
            relationship.our_side_name
            if relationship.our_side in {OurSide.PRODUCT, OurSide.ACCOUNT}
            else ""
        )
        sides.setdefault((relationship.our_side, name), []).append(relationship)
    order = list(OurSide)
    keys = sorted(sides, key=lambda key: (order.index(key[0]), key[1].casefold()))
    return [OurSideRelationships(*key, sides[key]) for key in keys]


def count_relationships(session: Session, visibility: RelationshipVisibility, *, on: date) -> int:
    """How many are in force on a day that are public, or that only stories disclose."""
    query = select_relationships_in_force(on).where(Relationship.visibility == visibility)
    return session.scalar(select(func.count()).select_from(query.subquery())) or 0
