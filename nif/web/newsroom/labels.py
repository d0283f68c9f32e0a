"""How the newsroom names things to the people who work in it.

How the register is named to the people who keep it.
"""

from nif.register.models import (
    AmountBand,
    Materiality,
    OurSide,
    PartyKind,
    RelationshipType,
    RelationshipVisibility,
)
from nif.register.relationship_types import RELATIONSHIP_TYPES
from nif.stories.declarations import RelationshipDeclaration, StoryAiUse, StoryFunding, StoryOrigin
from nif.stories.models import (
    BlockStyle,
    ChangeKind,
    NoteSeverity,
    ReasonCode,
    ReleaseVerification,
    ReviewVerdict,
    SourceKind,
    StoryState,
    StoryType,
)
from nif.stories.reader_reports import ReportKind, ReportVerdict
from nif.stories.transparency_block import REASON_CLAUSES

SOURCE_KINDS = {
    SourceKind.PUBLICATION: "A publication",
    SourceKind.PRESS_RELEASE: "A press release",
    SourceKind.COURT_FILING: "A court filing",
    SourceKind.COMPANY_FILING: "A company filing",
    SourceKind.INTERVIEW: "An interview",
    SourceKind.DATASET: "A dataset",
    SourceKind.OWN_REPORTING: "Our own reporting",
}

STORY_TYPES = {kind: kind.value.capitalize() for kind in StoryType}

STORY_STATES = {
    StoryState.DRAFT: "Draft",
    StoryState.IN_REVIEW: "In review",
    StoryState.SCHEDULED: "Scheduled",
    StoryState.PUBLISHED: "Published",
}

REVIEW_VERDICTS = {
    ReviewVerdict.REQUESTED: "asked for review",
    ReviewVerdict.APPROVED: "approved it",
    ReviewVerdict.SENT_BACK: "sent it back",
    ReviewVerdict.CONFIRMED: "confirmed that the change is style",
}

PRESS_RELEASE_CHECKS = {
    ReleaseVerification.NO: "We have not checked it",
    ReleaseVerification.PARTLY: "We checked part of it",
    ReleaseVerification.YES: "We checked it independently",
}

BLOCK_STYLES = {
    BlockStyle.CLASSIC: "Short: sources, reason, and all that is declared",
    BlockStyle.FULL: "Full: also what we took on trust, and what there is not",
}

ORIGINS = {
    StoryOrigin.OWN_IDEA: "Our own idea",
    StoryOrigin.MONITORING: "We saw it in what others publish",
    StoryOrigin.READER_TIP: "A reader’s tip",
    StoryOrigin.PRESS_RELEASE: "A press release",
    StoryOrigin.PITCHED: "It was pitched to us",
    StoryOrigin.COMMERCIAL: "Our commercial team",
    StoryOrigin.OWNER: "Our owner",
}

RELATIONSHIP_ANSWERS = {
    RelationshipDeclaration.NONE: "None: I know of nothing between us and anyone in it",
    RelationshipDeclaration.DECLARED: "Yes, and readers are told",
}

FUNDING_ANSWERS = {
    StoryFunding.NONE: "Nobody",
    StoryFunding.GRANT: "A grant, without any say",
    StoryFunding.PAID: "Somebody paid for it",
}

AI_ANSWERS = {
    StoryAiUse.NONE: "None",
    StoryAiUse.TOOLING: "To transcribe, search or find misspellings: every word is ours",
    StoryAiUse.ASSISTED: "Part of the text was written or reworded by AI",
    StoryAiUse.GENERATED: "AI wrote the first version",
}

CHANGE_KINDS = {
    ChangeKind.STYLE: "Style: a misspelling, a repaired link. No note",
    ChangeKind.UPDATE: "Update: the news moved on",
    ChangeKind.CORRECTION: "Correction: a fact was wrong",
    ChangeKind.CLARIFICATION: "Clarification: true, but it could mislead. Standards editors decide",
    ChangeKind.LATE_DISCLOSURE: "Disclosure added: readers should have been told before",
    ChangeKind.RIGHT_OF_REPLY: "Response added: someone answered us later",
    ChangeKind.EDITORS_NOTE: "Editor’s note: something about how we worked",
    ChangeKind.RETRACTION: "Retraction: the story no longer stands. Its text stays, and says so",
    ChangeKind.REMOVAL: "Removal: law or safety forbids the text. Its page says why",
}

SEVERITIES = {
    NoteSeverity.MINOR: "Minor: readers would conclude the same. Its note stands under the story",
    NoteSeverity.SIGNIFICANT: "Significant: a name, a number, a quotation. Its note stands on top",
    NoteSeverity.SERIOUS: "Serious: headline, premise, somebody’s good name. Said on top",
}

REPORT_KINDS = {
    ReportKind.ERROR: "An error",
    ReportKind.RELATIONSHIP: "An undisclosed relationship",
    ReportKind.AI: "About AI",
    ReportKind.OTHER: "Something else",
}

REPORT_VERDICTS = {
    ReportVerdict.UPHELD: "Upheld: the reader is right",
    ReportVerdict.PARTLY: "Partly upheld",
    ReportVerdict.NOT_UPHELD: "Not upheld",
    ReportVerdict.DUPLICATE: "We knew already",
}


def coverage_reasons() -> dict[ReasonCode, str]:
    """Each reason as the clause that readers will see, with a gap where the subject goes."""
    return {code: clause.format(subject="…") for code, clause in REASON_CLAUSES.items()}


FIELD_LABELS = {
    "headline": "Headline",
    "dek": "Dek",
    "lead": "Lead",
    "picture_id": "Lead picture",
    "byline": "Byline",
    "story_type": "Type",
    "tags": "Tags",
    "reason_code": "Reason",
    "reason_subject": "What stands for “…” in the reason",
    "block_style": "How much the block says",
    "embargo_until": "Under embargo until",
    "origin": "Where the idea came from",
    "origin_by": "Who brought it",
    "relationships": "What stands between us and them",
    "relationship_sentences": "What readers are told of it",
    "money": "Who paid",
    "money_by": "Who gave the grant",
    "ai": "What AI did",
    "ai_tasks": "What AI was used for",
    "ai_tools": "With which tools",
    "ai_checked": "What AI wrote was checked",
}


def field_label(name: str) -> str:
    """A field of the form in words: `sections-0-bullets` is "Section 1, bullets"."""
    group, _, rest = name.partition("-")
    n, _, what = rest.partition("-")
    if not what:
        return FIELD_LABELS[name]
    return f"{group[:-1].capitalize()} {int(n) + 1}, {what.replace('_', ' ')}"


PARTY_KINDS = {
    PartyKind.PERSON: "A person",
    PartyKind.COMPANY: "A company",
    PartyKind.PRODUCT: "A product",
    PartyKind.EVENT: "An event",
    PartyKind.WORK: "A work",
    PartyKind.PUBLIC_BODY: "A public body",
    PartyKind.OTHER: "Something else",
}
PARTY_KIND_FILTERS = {
    PartyKind.PERSON: "People",
    PartyKind.COMPANY: "Companies",
    PartyKind.PRODUCT: "Products",
    PartyKind.EVENT: "Events",
    PartyKind.WORK: "Works",
    PartyKind.PUBLIC_BODY: "Public bodies",
    PartyKind.OTHER: "Others",
}
OUR_SIDES = {
    OurSide.NIF: "NIF itself",
    OurSide.OWNER: "Our parent company",
    OurSide.PRODUCT: "A product of our parent company",
    OurSide.ACCOUNT: "A person who works here",
}
MATERIALITIES = {
    Materiality.ALWAYS: "Always told",
    Materiality.DEFAULT: "Told unless two people waive it",
    Materiality.CONTEXT: "Told where the story touches on it",
}
VISIBILITIES = {
    RelationshipVisibility.PUBLIC: "On the public page too",
    RelationshipVisibility.MATCH_ONLY: "Only under stories that name the party",
}
AMOUNT_BANDS = {
    AmountBand.NONE: "Not given, or not about money",
    AmountBand.UNDER_50: "Less than €50",
    AmountBand.UNDER_250: "€50 to €250",
    AmountBand.UNDER_1000: "€250 to €1,000",
    AmountBand.UNDER_10000: "€1,000 to €10,000",
    AmountBand.OVER_10000: "More than €10,000",
}
LOOKBACK_PERIODS = {
    "0": "Not told once it is over",
    "12": "A year",
    "24": "Two years",
    "36": "Three years",
    "60": "Five years",
    "unlimited": "Without limit",
}


def relationship_types_by_group() -> dict[str, dict[RelationshipType, str]]:
    """The natures by their groups, each in words."""
    groups: dict[str, dict[RelationshipType, str]] = {}
    for relationship_type, terms in RELATIONSHIP_TYPES.items():
        groups.setdefault(terms.group, {})[relationship_type] = terms.label
    return groups


def relationship_type_label(of: RelationshipType) -> str:
    return RELATIONSHIP_TYPES[of].label


def required_details() -> list[tuple[str, str]]:
    """The natures whose sentence needs more, and what."""
    return [(terms.label, terms.detail) for terms in RELATIONSHIP_TYPES.values() if terms.detail]
