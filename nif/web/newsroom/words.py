"""How the newsroom names things to the people who work in it."""

from nif.stories.answers import AiUse, Money, Origin, Relations
from nif.stories.disclosing import CLAUSES
from nif.stories.kinds import ChangeKind, Checked, Severity, Verdict
from nif.stories.models import BlockStyle, ReasonCode, SourceKind, StoryState, StoryType
from nif.stories.reporting import ReportKind, ReportVerdict

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

STATES = {
    StoryState.DRAFT: "Draft",
    StoryState.IN_REVIEW: "In review",
    StoryState.SCHEDULED: "Scheduled",
    StoryState.PUBLISHED: "Published",
}

VERDICTS = {
    Verdict.ASKED: "asked for review",
    Verdict.APPROVED: "approved it",
    Verdict.SENT_BACK: "sent it back",
    Verdict.CONFIRMED: "confirmed that the change is style",
}

CHECKED = {
    Checked.NO: "We have not checked it",
    Checked.PARTLY: "We checked part of it",
    Checked.YES: "We checked it independently",
}

STYLES = {
    BlockStyle.CLASSIC: "Short: sources, reason, and all that is declared",
    BlockStyle.FULL: "Full: also what we took on trust, and what there is not",
}

ORIGINS = {
    Origin.OWN_IDEA: "Our own idea",
    Origin.MONITORING: "We saw it in what others publish",
    Origin.READER_TIP: "A reader’s tip",
    Origin.PRESS_RELEASE: "A press release",
    Origin.PITCHED: "It was pitched to us",
    Origin.COMMERCIAL: "Our commercial team",
    Origin.OWNER: "Our owner",
}

RELATIONS = {
    Relations.NONE: "None: I know of nothing between us and anyone in it",
    Relations.DECLARED: "Yes, and readers are told",
}

MONEY = {
    Money.NONE: "Nobody",
    Money.GRANT: "A grant, without any say",
    Money.PAID: "Somebody paid for it",
}

AI = {
    AiUse.NONE: "None",
    AiUse.TOOLING: "To transcribe, search or find misspellings: every word is ours",
    AiUse.ASSISTED: "Part of the text was written or reworded by AI",
    AiUse.GENERATED: "AI wrote the first version",
}

CHANGES = {
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
    Severity.MINOR: "Minor: readers would conclude the same. Its note stands under the story",
    Severity.SIGNIFICANT: "Significant: a name, a number, a quotation. Its note stands on top",
    Severity.SERIOUS: "Serious: headline, premise, somebody’s good name. Said on top",
}

REPORTS = {
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


def reasons() -> dict[ReasonCode, str]:
    """Each reason as the clause that readers will see, with a gap where the subject goes."""
    return {code: clause.format(subject="…") for code, clause in CLAUSES.items()}


FIELDS = {
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


def field_name(name: str) -> str:
    """A field of the form in words: `sections-0-bullets` is "Section 1, bullets"."""
    group, _, rest = name.partition("-")
    n, _, what = rest.partition("-")
    if not what:
        return FIELDS[name]
    return f"{group[:-1].capitalize()} {int(n) + 1}, {what.replace('_', ' ')}"
