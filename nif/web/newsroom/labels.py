"""The words in which the newsroom's pages show enum values and form fields to staff."""

from nif.stories.models import BlockStyle, ReleaseVerification, SourceKind, StoryState, StoryType
from nif.stories.transparency_block import (
    REASON_CLAUSES,
    RelationshipDeclaration,
    StoryAiUse,
    StoryFunding,
    StoryOrigin,
)

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

STORY_STATES = {state: state.value.replace("_", " ").capitalize() for state in StoryState}

PRESS_RELEASE_CHECKS = {
    ReleaseVerification.NO: "We have not checked it",
    ReleaseVerification.PARTLY: "We checked part of it",
    ReleaseVerification.YES: "We checked it independently",
}

BLOCK_STYLES = {
    BlockStyle.CLASSIC: "Short: sources, reason and declarations",
    BlockStyle.FULL: "Full: also what we did not verify, and what does not apply",
}

COVERAGE_REASONS = {code: clause.format(subject="…") for code, clause in REASON_CLAUSES.items()}
"""Each reason as the clause that readers see, with “…” in place of the subject."""

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


def field_label(name: str) -> str:
    """The label of a form field: `sections-0-bullets` is "Section 1, bullets"."""
    group, _, rest = name.partition("-")
    n, _, column = rest.partition("-")
    if not column:
        return FIELD_LABELS[name]
    return f"{group[:-1].capitalize()} {int(n) + 1}, {column.replace('_', ' ')}"
