"""How the newsroom names things to the people who work in it."""

from nif.stories.disclosing import CLAUSES
from nif.stories.models import ReasonCode, SourceKind, StoryType

KINDS = {
    SourceKind.PUBLICATION: "A publication",
    SourceKind.PRESS_RELEASE: "A press release",
    SourceKind.COURT_FILING: "A court filing",
    SourceKind.COMPANY_FILING: "A company filing",
    SourceKind.INTERVIEW: "An interview",
    SourceKind.DATASET: "A dataset",
    SourceKind.OWN_REPORTING: "Our own reporting",
}

TYPES = {kind: kind.value.capitalize() for kind in StoryType}

GATES = (
    ("headline", "Headline"),
    ("lead", "Lead"),
    ("sections", "Sections"),
    ("byline", "Byline"),
    ("sources", "Sources"),
    ("reason_code", "Reason"),
    ("reason_subject", "Reason, in full"),
)
"""The fields that stand between a story and its readers, in the order of the form."""


def reasons() -> dict[ReasonCode, str]:
    """Each reason as the clause that readers will see, with a gap where the subject goes."""
    return {code: clause.format(subject="…") for code, clause in CLAUSES.items()}
