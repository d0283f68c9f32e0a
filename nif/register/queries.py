"""What the pages of the register ask for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, selectinload

from nif.accounts.models import Account
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

PAGE_SIZE = 50


@dataclass(frozen=True)
class PartyPage:
    """Some parties in the order of their names, and where the next page begins.

    `standing` holds the ids of those that something stands with on the day.
    """

    parties: Sequence[Party]
    standing: frozenset[int]
    after: str | None


@dataclass(frozen=True)
class OurSideRelationships:
    """Someone on our side, and what readers may see of what stands with them."""

    ours: OurSide
    name: str
    relationships: Sequence[Relationship]


def list_parties(
    session: Session,
    *,
    on: date,
    text: str = "",
    kind: PartyKind | None = None,
    after: str = "",
    size: int = PAGE_SIZE,
) -> PartyPage:
    """A page of the parties that have `text` in their name or an alias; `after` as before."""
    query = select(Party).where(Party.folded.is_not(None), Party.folded > after)
    if kind:
        query = query.where(Party.kind == kind)
    if part := fold_name(text):
        aliased = select(PartyAlias.party_id).where(
            PartyAlias.folded.contains(part, autoescape=True)
        )
        own = Party.folded.contains(part, autoescape=True)
        query = query.where(or_(own, Party.id.in_(aliased)))
    query = query.options(selectinload(Party.aliases)).order_by(Party.folded)
    found = session.scalars(query.limit(size + 1)).all()
    shown = found[:size]
    ids = [party.id for party in shown]
    standing = select_relationships_in_force(on).with_only_columns(Relationship.party_id)
    standing = standing.where(Relationship.party_id.in_(ids))
    return PartyPage(
        shown,
        frozenset(session.scalars(standing)),
        shown[-1].folded if len(found) > size else None,
    )


def list_relationships_of(session: Session, party: Party) -> Sequence[Relationship]:
    """All that stands and stood with a party, the last changed first."""
    query = select(Relationship).where(Relationship.party_id == party.id)
    return session.scalars(query.order_by(Relationship.changed_at.desc())).all()


def list_child_parties(session: Session, party: Party, *, most: int = 100) -> Sequence[Party]:
    query = select(Party).where(Party.parent_id == party.id).order_by(Party.folded)
    return session.scalars(query.limit(most)).all()


def list_staff_accounts(session: Session) -> Sequence[Account]:
    """Those on our side whom a relationship can be of."""
    return session.scalars(select(Account).order_by(Account.name, Account.id)).all()


def list_public_relationships(session: Session, *, on: date) -> list[OurSideRelationships]:
    """What is told on a day and may stand on a list, by who on our side it is of."""
    query = (
        select_relationships_in_force(on)
        .where(Relationship.visibility == RelationshipVisibility.PUBLIC)
        .join(Relationship.party)
    )
    sides: dict[tuple[OurSide, str], list[Relationship]] = {}
    for each in session.scalars(query.order_by(Party.folded, Relationship.id)):
        name = each.ours_label if each.ours in {OurSide.PRODUCT, OurSide.ACCOUNT} else ""
        sides.setdefault((each.ours, name), []).append(each)
    order = list(OurSide)
    keys = sorted(sides, key=lambda key: (order.index(key[0]), key[1].casefold()))
    return [OurSideRelationships(*key, sides[key]) for key in keys]


def count_withheld_relationships(session: Session, *, on: date) -> int:
    """How many are told on a day only where a story names the party."""
    query = select_relationships_in_force(on).where(
        Relationship.visibility == RelationshipVisibility.MATCH_ONLY
    )
    return session.scalar(select(func.count()).select_from(query.subquery())) or 0


def count_public_relationships(session: Session, *, on: date) -> int:
    """How many stand on the public list on a day."""
    query = select_relationships_in_force(on).where(
        Relationship.visibility == RelationshipVisibility.PUBLIC
    )
    return session.scalar(select(func.count()).select_from(query.subquery())) or 0
