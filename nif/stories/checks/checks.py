"""The checks of a story, and overrides of those that a standards editor may decide."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.accounts.models import Account
from nif.errors import Invalid
from nif.stories.checks.declarations import (
    check_ai_use,
    check_answers,
    check_funding,
    check_origin,
    check_reason,
    check_relationships,
)
from nif.stories.checks.findings import CheckContext, CheckFinding, FindingLevel, StoryCheck
from nif.stories.checks.sources import (
    check_claims,
    check_first_hand,
    check_press_releases,
    check_source_names,
    check_source_use,
    check_story_type,
    check_unnamed_sources,
)
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
    check_source_names,
    check_source_use,
    check_claims,
    check_first_hand,
    check_press_releases,
    check_unnamed_sources,
    check_story_type,
    check_reason,
    check_answers,
    check_origin,
    check_relationships,
    check_funding,
    check_ai_use,
)

SHORTEST_OVERRIDE_REASON = 20


def run_checks(context: CheckContext) -> list[CheckFinding]:
    """The findings of all checks, in the order of the form."""
    return [finding for check in CHECKS for finding in check(context)]


def blocking_findings_of(
    findings: Iterable[CheckFinding], overridden: Iterable[str] = ()
) -> list[CheckFinding]:
    """The findings that stop a story; `overridden` are the codes of overridden checks."""
    codes = set(overridden)
    return [
        finding
        for finding in findings
        if finding.level is FindingLevel.BLOCK
        or (finding.level is FindingLevel.DECIDE and finding.code not in codes)
    ]


def sentences_by_field(findings: Iterable[CheckFinding]) -> dict[str, str]:
    """The first sentence for each field."""
    sentences: dict[str, str] = {}
    for finding in findings:
        sentences.setdefault(finding.field, finding.text)
    return sentences


def list_overridden_codes(session: Session, story: Story) -> list[str]:
    """The codes of a story's checks that were overridden."""
    return list(
        session.scalars(select(CheckOverride.code).where(CheckOverride.story_id == story.id))
    )


def override_check(
    session: Session, story: Story, code: str, reason: str, *, by: Account, now: datetime
) -> CheckOverride:
    """Override a check of a story for a reason.

    Raises Invalid for a reason that is too short, for a check that cannot be overridden, and for
    one that has no finding or was overridden already.
    """
    open_codes = {
        finding.code
        for finding in run_checks(CheckContext(story))
        if finding.level is FindingLevel.DECIDE
    }
    if code not in open_codes or code in list_overridden_codes(session, story):
        raise Invalid({"code": "There is nothing left to decide here."})
    if len(reason.strip()) < SHORTEST_OVERRIDE_REASON:
        text = f"Give the reason in at least {SHORTEST_OVERRIDE_REASON} characters: readers see it."
        raise Invalid({"reason": text})
    override = CheckOverride(
        story_id=story.id, code=code, reason=reason.strip(), by_id=by.id, by=by.name, at=now
    )
    session.add(override)
    session.flush()
    return override
