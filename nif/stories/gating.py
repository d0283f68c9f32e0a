"""Which gates a story passes, and which were passed by decision."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.accounts.models import Account
from nif.errors import Invalid
from nif.stories.gates import asking, copy, picturing, sourcing
from nif.stories.gates.finding import Case, Finding, Gate, Weight
from nif.stories.models import Override, Story

GATES: Sequence[Gate] = (
    copy.whole,
    copy.signed,
    copy.finished,
    copy.not_too_loud,
    copy.in_time,
    picturing.told,
    sourcing.named,
    sourcing.used,
    sourcing.borne_out,
    sourcing.first_hand,
    sourcing.releases_checked,
    sourcing.unnamed,
    sourcing.true_to_type,
    asking.why,
    asking.answered,
    asking.brought_by,
    asking.related,
    asking.unpaid,
    asking.answered_for,
)

SHORTEST_REASON = 20


def check(case: Case) -> list[Finding]:
    """Everything that is amiss with a story, in the order of its form."""
    return [finding for gate in GATES for finding in gate(case)]


def in_the_way(findings: Iterable[Finding], decided: Iterable[str] = ()) -> list[Finding]:
    """Those that stop a story; `decided` are the codes that were decided otherwise."""
    passed = set(decided)
    return [
        finding
        for finding in findings
        if finding.weight is Weight.BLOCK
        or (finding.weight is Weight.DECIDE and finding.code not in passed)
    ]


def by_field(findings: Iterable[Finding]) -> dict[str, str]:
    """The first sentence for each field."""
    told: dict[str, str] = {}
    for finding in findings:
        told.setdefault(finding.field, finding.text)
    return told


def decided_codes(session: Session, story: Story) -> list[str]:
    """The gates of a story that were passed by decision."""
    return list(session.scalars(select(Override.code).where(Override.story_id == story.id)))


def override(
    session: Session, story: Story, code: str, reason: str, *, by: Account, now: datetime
) -> Override:
    """Let a story pass a gate that may be decided. Raises Invalid without a reason, or for a gate
    that nobody may open, and where it is open already."""
    open_to_decision = {
        finding.code for finding in check(Case(story)) if finding.weight is Weight.DECIDE
    }
    if code not in open_to_decision or code in decided_codes(session, story):
        raise Invalid({"code": "There is nothing to decide here any more."})
    if len(reason.strip()) < SHORTEST_REASON:
        text = f"Give the reason in at least {SHORTEST_REASON} characters: readers may ask for it."
        raise Invalid({"reason": text})
    made = Override(
        story_id=story.id, code=code, reason=reason.strip(), by_id=by.id, by=by.name, at=now
    )
    session.add(made)
    session.flush()
    return made
