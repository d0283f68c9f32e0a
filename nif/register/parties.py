"""Keeping the parties: adding one, changing it, merging two, taking away what was a mistake."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from nif.database import conflict_aware_insert
from nif.errors import Conflict, Invalid, NotFound
from nif.links import is_web_address
from nif.register.models import Party, PartyAlias, PartyKind, RegisterVersion, Relationship
from nif.register.name_matching import fold_name, has_letter_or_digit, normalize_text
from nif.register.relationship_types import PublisherNames, write_relationship_sentences

MAX_NAME_LENGTH = 200
MAX_URL_LENGTH = 2000
MAX_VALUES_PER_FIELD = 50
MAX_SLUG_LENGTH = 90
_DOMAIN = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{1,62}")


@dataclass(frozen=True)
class PartyInput:
    """A party, as an editor gives it."""

    name: str
    kind: PartyKind = PartyKind.COMPANY
    aliases: Sequence[str] = ()
    domains: Sequence[str] = ()
    same_as: Sequence[str] = ()
    parent_id: int | None = None


def get_party(session: Session, party_id: int, *, lock: bool = False) -> Party:
    """Raises NotFound. A party that was merged is still there: see `merged_into_id`."""
    party = session.get(Party, party_id, with_for_update={"of": Party} if lock else None)
    if party is None:
        raise NotFound("There is no such party in the register.")
    return party


def find_party_by_name(session: Session, name: str) -> Party | None:
    """The party of this very name, or the only one with this alias."""
    key = fold_name(name)
    if own := session.scalar(select(Party).where(Party.folded == key)):
        return own
    known = select(PartyAlias.party_id).where(PartyAlias.folded == key)
    found = session.scalars(select(Party).where(Party.id.in_(known)).limit(2)).all()
    return found[0] if len(found) == 1 else None


def add_party(session: Session, copy: PartyInput, *, now: datetime) -> Party:
    """Raises Invalid."""
    _check_input(session, copy, None)
    party = Party(slug=_free_slug(session, copy.name), created_at=now)
    _apply_input(party, copy)
    session.add(party)
    session.flush()
    _renew_register_version(session)
    return party


def change_party(
    session: Session, party: Party, copy: PartyInput, *, version: int, house: PublisherNames
) -> None:
    """Replace what the register says of a party; the sentences about it follow its name.

    `version` is the one that the editor saw. Raises Invalid; Conflict where someone else has
    changed the party in between, or it was merged. Its slug stays: others may have kept it.
    """
    if party.merged_into_id is not None:
        raise Conflict(f"{party.name} was merged into another party.")
    if party.version != version:
        raise Conflict("Someone else changed this party while you were writing.")
    _check_input(session, copy, party)
    _apply_input(party, copy)
    party.version += 1
    _rewrite_sentences(session, party, house)
    session.flush()
    _renew_register_version(session)


def merge_parties(session: Session, party: Party, into: Party, *, house: PublisherNames) -> None:
    """Make two parties one: names, relationships and parts of `party` move over to `into`.

    `party` stays as a signpost, for the stories that named it. Raises Conflict where the two
    cannot be one.
    """
    if party.id == into.id:
        raise Conflict("A party cannot be merged into itself.")
    if party.merged_into_id is not None or into.merged_into_id is not None:
        raise Conflict("One of the two was merged already.")
    if party.id in _find_ancestor_ids(session, into.parent_id):
        raise Conflict(f"{into.name} is part of {party.name}: merge it the other way round.")
    for name in (party.name, *(alias.name for alias in party.aliases)):
        _add_alias(into, name)
    into.domains = list(dict.fromkeys([*into.domains, *party.domains]))
    into.same_as = list(dict.fromkeys([*into.same_as, *party.same_as]))
    party.aliases, party.folded = [], None
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
    _rewrite_sentences(session, into, house)
    session.flush()
    _renew_register_version(session)


def delete_party(session: Session, party: Party) -> None:
    """Take a party away that was entered by mistake.

    Raises Conflict where anything still holds on to it: a story that names it, a relationship, a
    part of it. The database's own keys say so, those of tables above the register too.
    """
    name = party.name
    try:
        with session.begin_nested():
            session.delete(party)
            session.flush()
    except IntegrityError:
        raise Conflict(
            f"{name} is named in stories, has relationships or has parts of its own, so it cannot "
            "be taken away. If it is here twice, merge the two."
        ) from None
    _renew_register_version(session)


def _check_input(session: Session, copy: PartyInput, party: Party | None) -> None:
    if found := dict(_input_problems(session, copy, party)):
        raise Invalid(found)


def _input_problems(
    session: Session, copy: PartyInput, party: Party | None
) -> Iterator[tuple[str, str]]:
    own = party.id if party else None
    yield from _name_problems(copy)
    twin = session.scalar(select(Party.id).where(Party.folded == fold_name(copy.name)))
    if twin is not None and twin != own:
        yield (
            "name",
            f"“{copy.name}” is in the register already. Tell the two apart by their names.",
        )
    for domain in copy.domains:
        if not _DOMAIN.fullmatch(domain.lower()):
            yield "domains", f"“{domain}” is no domain, such as example.com."
    if any(not is_web_address(one) or len(one) > MAX_URL_LENGTH for one in copy.same_as):
        yield "same_as", "Give whole addresses, beginning with https:// or http://."
    if copy.parent_id is not None:
        line = _find_ancestor_ids(session, copy.parent_id)
        if not line:
            yield "parent", "There is no such party in the register."
        elif own in line:
            yield "parent", "A party cannot be part of itself, nor of its own parts."


def _name_problems(copy: PartyInput) -> Iterator[tuple[str, str]]:
    if not has_letter_or_digit(copy.name):
        yield "name", "Give a name, with at least one letter or digit."
    elif len(copy.name) > MAX_NAME_LENGTH:
        yield "name", f"Make this shorter: {MAX_NAME_LENGTH} characters are the most."
    if any(
        not has_letter_or_digit(alias) or len(alias) > MAX_NAME_LENGTH for alias in copy.aliases
    ):
        yield "aliases", f"Each has a letter or digit, and at most {MAX_NAME_LENGTH} characters."
    for field in ("aliases", "domains", "same_as"):
        if len(getattr(copy, field)) > MAX_VALUES_PER_FIELD:
            yield field, f"These are too many: {MAX_VALUES_PER_FIELD} are the most."


def _find_ancestor_ids(session: Session, party_id: int | None) -> set[int]:
    """A party and all that it is part of."""
    line: set[int] = set()
    while party_id is not None and party_id not in line:
        found = session.execute(
            select(Party.id, Party.parent_id).where(Party.id == party_id)
        ).first()
        if found is None:
            break
        line.add(found.id)
        party_id = found.parent_id
    return line


def _apply_input(party: Party, copy: PartyInput) -> None:
    party.kind, party.name, party.folded = copy.kind, copy.name, fold_name(copy.name)
    party.domains = list(dict.fromkeys(domain.lower() for domain in copy.domains))
    party.same_as = list(dict.fromkeys(copy.same_as))
    party.parent_id = copy.parent_id
    wanted = {fold_name(alias): alias for alias in copy.aliases if fold_name(alias) != party.folded}
    party.aliases = [alias for alias in party.aliases if alias.folded in wanted]
    for alias in party.aliases:
        alias.name = wanted.pop(alias.folded)
    party.aliases += [PartyAlias(name=name, folded=key) for key, name in wanted.items()]


def _add_alias(party: Party, name: str) -> None:
    key = fold_name(name)
    if key != party.folded and all(alias.folded != key for alias in party.aliases):
        party.aliases.append(PartyAlias(name=name, folded=key))


def _rewrite_sentences(session: Session, party: Party, house: PublisherNames) -> None:
    """Write the sentences about a party again; one that changed counts as a new version."""
    known = select(Relationship).where(Relationship.party_id == party.id)
    for relationship in session.scalars(known.execution_options(populate_existing=True)).all():
        before = relationship.sentence, relationship.afterwards
        write_relationship_sentences(relationship, party, house)
        if before != (relationship.sentence, relationship.afterwards):
            relationship.version += 1


def _free_slug(session: Session, name: str) -> str:
    wanted = (
        re.sub(r"[^a-z0-9]+", "-", normalize_text(name).lower()).strip("-")[:MAX_SLUG_LENGTH]
        or "party"
    )
    taken = set(session.scalars(select(Party.slug).where(Party.slug.startswith(wanted))))
    numbered = (f"{wanted}-{n}" for n in range(2, len(taken) + 3))
    return wanted if wanted not in taken else next(slug for slug in numbered if slug not in taken)


def _renew_register_version(session: Session) -> None:
    """Say that names have changed, so that no text is matched with those of before."""
    stamp = uuid4().hex
    session.execute(
        conflict_aware_insert(session, RegisterVersion)
        .values(id=1, stamp=stamp)
        .on_conflict_do_update(index_elements=[RegisterVersion.id], set_={"stamp": stamp})
    )
