"""The parties of the register: adding, changing, merging and deleting them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import uuid4

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session, selectinload

from nif.database import delete_unreferenced, get_row, put_row
from nif.errors import Conflict, Invalid
from nif.links import is_web_address
from nif.paging import Page, paginate
from nif.register.models import Party, PartyAlias, PartyKind, RegisterVersion, Relationship
from nif.register.name_matching import fold_name, has_letter_or_digit, normalize_text
from nif.register.relationship_types import PublisherNames, write_relationship_sentences
from nif.register.relationships import MAX_URL_LENGTH, select_relationships_in_force
from nif.slugs import find_free_slug

MAX_NAME_LENGTH = 200
MAX_VALUES_PER_FIELD = 50
_DOMAIN = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{1,62}")


@dataclass(frozen=True)
class PartyInput:
    """A party as an editor enters it."""

    name: str
    kind: PartyKind = PartyKind.COMPANY
    aliases: Sequence[str] = ()
    domains: Sequence[str] = ()
    same_as: Sequence[str] = ()
    parent_id: int | None = None


def get_party(session: Session, party_id: int, *, lock: bool = False) -> Party:
    """A party, or one that was merged: see `merged_into_id`. Raises NotFound."""
    return get_row(session, Party, party_id, "There is no such party in the register.", lock=lock)


def find_party_by_name(session: Session, name: str) -> Party | None:
    """The party with this name, or else the only one with this alias."""
    key = fold_name(name)
    if party := session.scalar(select(Party).where(Party.folded_name == key)):
        return party
    party_ids = select(PartyAlias.party_id).where(PartyAlias.folded_name == key)
    parties = session.scalars(select(Party).where(Party.id.in_(party_ids)).limit(2)).all()
    return parties[0] if len(parties) == 1 else None


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


def list_child_parties(session: Session, party: Party, *, most: int = 100) -> Sequence[Party]:
    query = select(Party).where(Party.parent_id == party.id).order_by(Party.folded_name)
    return session.scalars(query.limit(most)).all()


def add_party(session: Session, values: PartyInput, *, now: datetime) -> Party:
    """Raises Invalid."""
    party = Party(created_at=now)
    _apply_input(session, party, values)
    party.slug = find_free_slug(session, Party.slug, normalize_text(values.name), empty="party")
    session.add(party)
    _renew_register_version(session)
    return party


def change_party(
    session: Session, party: Party, values: PartyInput, *, version: int, publisher: PublisherNames
) -> None:
    """Replace the fields of a party, and rewrite the sentences that contain its name.

    `version` is the one that the editor saw. The slug stays, because others may have kept it.
    Raises Invalid; Conflict where someone else has changed the party in between, or it was merged.
    """
    if party.merged_into_id is not None:
        raise Conflict(f"{party.name} was merged into another party.")
    if party.version != version:
        raise Conflict("Someone else changed this party while you were editing it.")
    _apply_input(session, party, values)
    party.version += 1
    _rewrite_sentences(session, party, publisher)
    _renew_register_version(session)


def merge_parties(
    session: Session, party: Party, into: Party, *, publisher: PublisherNames
) -> None:
    """Merge two parties: names, relationships and parts of `party` move to `into`.

    `party` stays as a pointer, for the stories that named it. Raises Conflict where the two cannot
    be merged.
    """
    if party.id == into.id:
        raise Conflict("A party cannot be merged into itself.")
    if party.merged_into_id is not None or into.merged_into_id is not None:
        raise Conflict("One of the two has been merged already.")
    if party.id in _find_ancestor_ids(session, into.parent_id):
        raise Conflict(f"{into.name} is part of {party.name}: merge them the other way round.")
    for name in (party.name, *(alias.name for alias in party.aliases)):
        key = fold_name(name)
        if key not in {into.folded_name, *(alias.folded_name for alias in into.aliases)}:
            into.aliases.append(PartyAlias(name=name, folded_name=key))
    into.domains = list(dict.fromkeys([*into.domains, *party.domains]))
    into.same_as = list(dict.fromkeys([*into.same_as, *party.same_as]))
    party.aliases, party.folded_name = [], None
    party.merged_into_id, party.parent_id = into.id, None
    for model, column in (
        (Relationship, Relationship.party_id),
        (Party, Party.parent_id),
        (Party, Party.merged_into_id),
    ):
        moved = update(model).where(column == party.id).values({column: into.id})
        session.execute(moved, execution_options={"synchronize_session": "fetch"})
    party.version, into.version = party.version + 1, into.version + 1
    session.flush()
    _rewrite_sentences(session, into, publisher)
    _renew_register_version(session)


def delete_party(session: Session, party: Party) -> None:
    """Delete a party that was entered by mistake.

    Raises Conflict where a story names it, or it has a relationship or parts.
    """
    delete_unreferenced(
        session,
        party,
        f"{party.name} is named in stories, or has relationships or parts, so it cannot be "
        "deleted. If it is here twice, merge the two.",
    )
    _renew_register_version(session)


def _input_problems(
    session: Session, values: PartyInput, own_id: int | None
) -> Iterator[tuple[str, str]]:
    yield from _name_problems(values)
    same_name = select(Party.id).where(Party.folded_name == fold_name(values.name))
    if session.scalar(same_name) not in {None, own_id}:
        yield ("name", f"“{values.name}” is in the register already. Give the two different names.")
    for domain in values.domains:
        if not _DOMAIN.fullmatch(domain.lower()):
            yield "domains", f"“{domain}” is not a domain such as example.com."
    if not all(is_web_address(each) and len(each) <= MAX_URL_LENGTH for each in values.same_as):
        yield "same_as", "Give whole addresses, starting with https:// or http://."
    if values.parent_id is not None:
        ancestor_ids = _find_ancestor_ids(session, values.parent_id)
        if not ancestor_ids:
            yield "parent", "There is no such party in the register."
        elif own_id in ancestor_ids:
            yield "parent", "A party cannot be part of itself or of its own parts."


def _name_problems(values: PartyInput) -> Iterator[tuple[str, str]]:
    if not has_letter_or_digit(values.name):
        yield "name", "Give a name, with at least one letter or digit."
    elif len(values.name) > MAX_NAME_LENGTH:
        yield "name", f"Make this shorter: at most {MAX_NAME_LENGTH} characters."
    if not all(
        has_letter_or_digit(each) and len(each) <= MAX_NAME_LENGTH for each in values.aliases
    ):
        yield "aliases", f"Each needs a letter or digit, and at most {MAX_NAME_LENGTH} characters."
    for field in ("aliases", "domains", "same_as"):
        if len(getattr(values, field)) > MAX_VALUES_PER_FIELD:
            yield field, f"Too many: at most {MAX_VALUES_PER_FIELD}."


def _find_ancestor_ids(session: Session, party_id: int | None) -> set[int]:
    """A party and everything that it is part of."""
    ancestor_ids: set[int] = set()
    while party_id is not None and party_id not in ancestor_ids:
        row = session.execute(select(Party.id, Party.parent_id).where(Party.id == party_id)).first()
        if row is None:
            break
        ancestor_ids.add(row.id)
        party_id = row.parent_id
    return ancestor_ids


def _apply_input(session: Session, party: Party, values: PartyInput) -> None:
    if problems := dict(_input_problems(session, values, party.id)):
        raise Invalid(problems)
    party.kind, party.name, party.folded_name = values.kind, values.name, fold_name(values.name)
    party.domains = list(dict.fromkeys(domain.lower() for domain in values.domains))
    party.same_as = list(dict.fromkeys(values.same_as))
    party.parent_id = values.parent_id
    wanted = {fold_name(alias): alias for alias in values.aliases}
    wanted.pop(party.folded_name, None)
    party.aliases = [alias for alias in party.aliases if alias.folded_name in wanted]
    for alias in party.aliases:
        alias.name = wanted.pop(alias.folded_name)
    party.aliases += [PartyAlias(name=name, folded_name=key) for key, name in wanted.items()]


def _rewrite_sentences(session: Session, party: Party, publisher: PublisherNames) -> None:
    """A relationship whose sentence changes gets a new version."""
    query = select(Relationship).where(Relationship.party_id == party.id)
    for relationship in session.scalars(query.execution_options(populate_existing=True)).all():
        before = relationship.current_sentence, relationship.past_sentence
        write_relationship_sentences(relationship, party, publisher)
        if before != (relationship.current_sentence, relationship.past_sentence):
            relationship.version += 1


def _renew_register_version(session: Session) -> None:
    """Mark names as changed, so that every process reloads its matcher."""
    session.flush()
    put_row(session, RegisterVersion, id=1, version=uuid4().hex)
