"""The words in which the newsroom's pages show enum values and form fields to staff."""

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
    ReviewVerdict.CONFIRMED: "confirmed that the change is style only",
}

PRESS_RELEASE_CHECKS = {
    ReleaseVerification.NO: "We have not checked it",
    ReleaseVerification.PARTLY: "We checked part of it",
    ReleaseVerification.YES: "We checked it independently",
}

BLOCK_STYLES = {
    BlockStyle.CLASSIC: "Short: sources, reason and declarations",
    BlockStyle.FULL: "Full: also what we did not verify, and what does not apply",
}

ORIGINS = {
    StoryOrigin.OWN_IDEA: "Our own idea",
    StoryOrigin.MONITORING: "We saw it in other publications",
    StoryOrigin.READER_TIP: "A reader’s tip",
    StoryOrigin.PRESS_RELEASE: "A press release",
    StoryOrigin.PITCHED: "It was pitched to us",
    StoryOrigin.COMMERCIAL: "Our commercial team",
    StoryOrigin.OWNER: "Our owner",
}

RELATIONSHIP_ANSWERS = {
    RelationshipDeclaration.NONE: "No, none that I know of",
    RelationshipDeclaration.DECLARED: "Yes, and we disclose it",
}

FUNDING_ANSWERS = {
    StoryFunding.NONE: "Nobody",
    StoryFunding.GRANT: "A grant, with no say in the story",
    StoryFunding.PAID: "Yes, somebody paid for it",
}

AI_ANSWERS = {
    StoryAiUse.NONE: "None",
    StoryAiUse.TOOLING: "As a tool (transcribing, searching, spelling): every word is ours",
    StoryAiUse.ASSISTED: "Part of the text was written or reworded by AI",
    StoryAiUse.GENERATED: "AI wrote the first version",
}

CHANGE_KINDS = {
    ChangeKind.STYLE: "Style: a misspelling or a broken link. No note",
    ChangeKind.UPDATE: "Update: there is newer news",
    ChangeKind.CORRECTION: "Correction: a fact was wrong",
    ChangeKind.CLARIFICATION: "Clarification: true, but it could mislead. Standards editors decide",
    ChangeKind.LATE_DISCLOSURE: "Disclosure added: it should have been in the story from the start",
    ChangeKind.RIGHT_OF_REPLY: "Response added: someone in the story replied later",
    ChangeKind.EDITORS_NOTE: "Editor’s note: about how we worked",
    ChangeKind.RETRACTION: "Retraction: we no longer stand by the story. Its text stays, marked",
    ChangeKind.REMOVAL: "Removal: the law or someone’s safety requires it. The page says why",
}

SEVERITIES = {
    NoteSeverity.MINOR: "Minor: readers would conclude the same. The note is below the story",
    NoteSeverity.SIGNIFICANT: "Significant: name, number or quotation. The note is above the story",
    NoteSeverity.SERIOUS: "Serious: headline, premise or reputation. The note is above the story",
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


FIELD_LABELS = {
    "headline": "Headline",
    "dek": "Dek",
    "lead": "Lead",
    "picture_id": "Lead picture",
    "byline": "Byline",
    "story_type": "Type",
    "tags": "Tags",
    "reason_code": "Reason",
    "reason_subject": "What the reason is about",
    "block_style": "Detail of the transparency block",
    "embargo_until": "Embargo until",
    "origin": "Where the idea came from",
    "origin_by": "Who brought the idea",
    "relationships": "Relationships",
    "relationship_sentences": "Relationships disclosed to readers",
    "money": "Who paid",
    "money_by": "Who gave the grant",
    "ai": "Use of AI",
    "ai_tasks": "What AI was used for",
    "ai_tools": "AI tools",
    "ai_checked": "AI text was checked",
}


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
    Materiality.ALWAYS: "Always disclosed",
    Materiality.DEFAULT: "Disclosed unless two people waive it",
    Materiality.CONTEXT: "Disclosed where the story touches on it",
}
VISIBILITIES = {
    RelationshipVisibility.PUBLIC: "Also on the public relationships page",
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
    "0": "Not disclosed once it has ended",
    "12": "A year",
    "24": "Two years",
    "36": "Three years",
    "60": "Five years",
    "unlimited": "No limit",
}


def coverage_reasons() -> dict[ReasonCode, str]:
    """Each reason as the clause that readers see, with “…” in place of the subject."""
    return {code: clause.format(subject="…") for code, clause in REASON_CLAUSES.items()}


def field_label(name: str) -> str:
    """The label of a form field: `sections-0-bullets` is "Section 1, bullets"."""
    group, _, rest = name.partition("-")
    n, _, column = rest.partition("-")
    if not column:
        return FIELD_LABELS[name]
    return f"{group[:-1].capitalize()} {int(n) + 1}, {column.replace('_', ' ')}"


def relationship_types_by_group() -> dict[str, dict[RelationshipType, str]]:
    """The labels of all relationship types, grouped for a select box."""
    groups: dict[str, dict[RelationshipType, str]] = {}
    for relationship_type, terms in RELATIONSHIP_TYPES.items():
        groups.setdefault(terms.group, {})[relationship_type] = terms.label
    return groups


def relationship_type_label(relationship_type: RelationshipType) -> str:
    return RELATIONSHIP_TYPES[relationship_type].label
