"""What a story does about the relationships of its parties: each is disclosed or waived.

A waiver needs a reason, which is public, and a second person. What must always be disclosed cannot
be waived. A decision is about one version of a relationship: when the register changes, the story
has to decide again.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, delete, select
from sqlalchemy.orm import Session

from nif.errors import Conflict, Invalid, NotAllowed
from nif.register.models import (
    DisclosureChoice,
    DisclosureDecision,
    Materiality,
    Relationship,
    RelationshipType,
)

MIN_REASON_LENGTH = 20
MAX_REASON_LENGTH = 500


@dataclass(frozen=True)
class WaiverCount:
    """How many stories waived a type of relationship for a reason in a month such as 2026-11."""

    month: str
    type: RelationshipType
    reason: str
    count: int


def disclose_relationship(
    session: Session, story_id: int, relationship: Relationship, *, by: int | None, now: datetime
) -> DisclosureDecision:
    """Disclose a relationship under a story; this replaces an earlier decision.

    The sentence is frozen as it reads today. `by` is None where a rule decides.
    """
    disclose = DisclosureChoice.DISCLOSE
    return _replace_decision(session, story_id, relationship, decision=disclose, by_id=by, at=now)


def request_waiver(
    session: Session,
    story_id: int,
    relationship: Relationship,
    reason: str,
    *,
    by: int,
    now: datetime,
) -> DisclosureDecision:
    """Ask that a relationship is not disclosed; this takes effect once a second person confirms it.

    Raises Invalid for `decision` where the relationship must always be disclosed, and for `reason`
    where that is too short or too long; NotAllowed for the person who has the relationship.
    """
    reason = " ".join(reason.split())
    if relationship.materiality is Materiality.ALWAYS:
        raise Invalid({"decision": "This is always disclosed: it cannot be waived."})
    if not MIN_REASON_LENGTH <= len(reason) <= MAX_REASON_LENGTH:
        lengths = f"{MIN_REASON_LENGTH} to {MAX_REASON_LENGTH} characters"
        raise Invalid({"reason": f"Say why, in {lengths}. Readers will see it."})
    if by == relationship.account_id:
        raise NotAllowed("This is about you: someone else has to ask for the waiver.")
    given: Any = {"decision": DisclosureChoice.WAIVE, "reason": reason, "by_id": by, "at": now}
    return _replace_decision(session, story_id, relationship, **given)


def confirm_waiver(
    session: Session, decision: DisclosureDecision, *, by: int, now: datetime
) -> None:
    """Confirm a waiver as the second person; it takes effect now.

    Raises Conflict where there is nothing to confirm, NotAllowed for the person who asked for it
    and for the person who has the relationship.
    """
    if decision.decision is not DisclosureChoice.WAIVE or decision.confirmed_by_id is not None:
        raise Conflict("There is no waiver here that waits for a second person.")
    if decision.version != decision.relationship.version:
        raise Conflict("The relationship has changed since: decide again.")
    if by == decision.by_id:
        raise NotAllowed("A waiver needs a second person: you asked for this one.")
    if by == decision.relationship.account_id:
        raise NotAllowed("This is about you: someone else has to agree to the waiver.")
    decision.confirmed_by_id, decision.at = by, now
    session.flush()


class Disclosures(NamedTuple):
    """What a story does about some relationships.

    `decisions` are the current ones by relationship id, also a waiver that waits for its second
    person. `undecided` block publication; `sentences` are what readers see of the others.
    """

    decisions: Mapping[int, DisclosureDecision]
    undecided: Sequence[Relationship]
    sentences: Sequence[str]


def find_disclosures(
    session: Session, story_id: int | None, relationships: Sequence[Relationship], *, on: date
) -> Disclosures:
    """The decisions of a story and what follows from them, in the order of `relationships`.

    What is always disclosed needs no decision: its sentence is that of the day. Outdated decisions
    do not count. `story_id` is None for a story that is not saved: nothing is decided about it yet.
    """
    decisions = map_current_decisions(session, story_id, relationships) if story_id else {}
    undecided: list[Relationship] = []
    sentences: list[str] = []
    for each in relationships:
        decision = decisions.get(each.id)
        if decision is None and each.materiality is Materiality.ALWAYS:
            sentences.append(each.sentence_on(on))
        elif decision is None or not decision.is_in_force:
            undecided.append(each)
        elif decision.decision is DisclosureChoice.DISCLOSE:
            sentences.append(decision.sentence)
    return Disclosures(decisions, undecided, list(dict.fromkeys(sentences)))


def map_current_decisions(
    session: Session, story_id: int, relationships: Sequence[Relationship]
) -> dict[int, DisclosureDecision]:
    """The story's decisions by relationship id; outdated ones are left out."""
    current = {each.id: each.version for each in relationships}
    query = select(DisclosureDecision).where(DisclosureDecision.story_id == story_id)
    return {
        each.relationship_id: each
        for each in (session.scalars(query) if current else ())
        if current.get(each.relationship_id) == each.version
    }


def count_waivers(session: Session, *, stories: Select[Any] | None = None) -> list[WaiverCount]:
    """The waivers in force, counted by month, type and reason, the newest month first.

    `stories` selects the ids of the stories that readers can see; without it, all count.
    """
    query = (
        select(DisclosureDecision.at, Relationship.type, DisclosureDecision.reason)
        .join(Relationship, Relationship.id == DisclosureDecision.relationship_id)
        .where(
            DisclosureDecision.decision == DisclosureChoice.WAIVE,
            DisclosureDecision.confirmed_by_id.is_not(None),
        )
    )
    if stories is not None:
        query = query.where(DisclosureDecision.story_id.in_(stories))
    # Counted here: waivers are few, and the two databases format months differently.
    counts = Counter((f"{row.at:%Y-%m}", row.type, row.reason) for row in session.execute(query))
    waivers = [WaiverCount(*key, counts[key]) for key in sorted(counts, key=lambda key: key[1:])]
    return sorted(waivers, key=lambda each: each.month, reverse=True)


def _replace_decision(
    session: Session, story_id: int, relationship: Relationship, *, at: datetime, **values: Any
) -> DisclosureDecision:
    row = DisclosureDecision(
        story_id=story_id,
        relationship=relationship,
        version=relationship.version,
        sentence=relationship.sentence_on(at.date()),
        at=at,
        **values,
    )
    earlier = delete(DisclosureDecision).where(DisclosureDecision.story_id == story_id)
    session.execute(earlier.where(DisclosureDecision.relationship_id == relationship.id))
    session.add(row)
    session.flush()
    return row
