"""Which gates a story passes, and which were passed by decision."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.accounts.models import Account
from nif.errors import Invalid
from nif.stories.checks import declarations, sources
from nif.stories.checks.findings import CheckContext, CheckFinding, FindingLevel, StoryCheck
from nif.stories.checks.text import (
    check_byline,
    check_completeness,
    check_embargo,
    check_headline_claim,
    check_pictures,
    check_placeholders,
)
from nif.stories.models import CheckOverride, Story

CHECKS: Sequence[StoryCheck] = (
    check_completeness,
    check_byline,
    check_placeholders,
    check_headline_claim,
    check_embargo,
    check_pictures,
    sources.check_source_names,
    sources.check_source_use,
    sources.check_claims,
    sources.check_first_hand,
    sources.check_press_releases,
    sources.check_unnamed_sources,
    sources.check_story_type,
    declarations.check_reason,
    declarations.check_answers,
    declarations.check_origin,
    declarations.check_relationships,
    declarations.check_funding,
    declarations.check_ai_use,
)

SHORTEST_OVERRIDE_REASON = 20


def run_checks(context: CheckContext) -> list[CheckFinding]:
    """Everything that is amiss with a story, in the order of its form."""
    return [finding for gate in CHECKS for finding in gate(context)]


def blocking_findings_of(
    findings: Iterable[CheckFinding], decided: Iterable[str] = ()
) -> list[CheckFinding]:
    """Those that stop a story; `decided` are the codes that were decided otherwise."""
    passed = set(decided)
    return [
        finding
        for finding in findings
        if finding.level is FindingLevel.BLOCK
        or (finding.level is FindingLevel.DECIDE and finding.code not in passed)
    ]


def sentences_by_field(findings: Iterable[CheckFinding]) -> dict[str, str]:
    """The first sentence for each field."""
    told: dict[str, str] = {}
    for finding in findings:
        told.setdefault(finding.field, finding.text)
    return told


def list_overridden_codes(session: Session, story: Story) -> list[str]:
    """The gates of a story that were passed by decision."""
    return list(
        session.scalars(select(CheckOverride.code).where(CheckOverride.story_id == story.id))
    )


def override_check(
    session: Session, story: Story, code: str, reason: str, *, by: Account, now: datetime
) -> CheckOverride:
    """Let a story pass a gate that may be decided. Raises Invalid without a reason, or for a gate
    that nobody may open, and where it is open already."""
    open_to_decision = {
        finding.code
        for finding in run_checks(CheckContext(story))
        if finding.level is FindingLevel.DECIDE
    }
    if code not in open_to_decision or code in list_overridden_codes(session, story):
        raise Invalid({"code": "There is nothing to decide here any more."})
    if len(reason.strip()) < SHORTEST_OVERRIDE_REASON:
        text = (
            f"Give the reason in at least {SHORTEST_OVERRIDE_REASON} characters: "
            "readers may ask for it."
        )
        raise Invalid({"reason": text})
    made = CheckOverride(
        story_id=story.id, code=code, reason=reason.strip(), by_id=by.id, by=by.name, at=now
    )
    session.add(made)
    session.flush()
    return made
