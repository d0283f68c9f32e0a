"""Of what kind a change to a published story is, how grave, and what that means for its place."""

from enum import StrEnum


class ChangeKind(StrEnum):
    """What a revision is. Only `STYLE` comes without a note: a misspelling, a link repaired."""

    PUBLISH = "publish"
    STYLE = "style"
    UPDATE = "update"
    CORRECTION = "correction"
    CLARIFICATION = "clarification"
    LATE_DISCLOSURE = "late_disclosure"
    RIGHT_OF_REPLY = "right_of_reply"
    EDITORS_NOTE = "editors_note"
    RETRACTION = "retraction"
    REMOVAL = "removal"


class Severity(StrEnum):
    """`MINOR` changes nothing that a reader would conclude; `SIGNIFICANT` a name, a number, a
    quotation or an allegation; `SERIOUS` the headline, the premise, or somebody's good name."""

    MINOR = "minor"
    SIGNIFICANT = "significant"
    SERIOUS = "serious"


class Standing(StrEnum):
    """Whether a story stands. All but the first are said before its headline, wherever it is."""

    SOUND = "sound"
    CORRECTED = "corrected"
    RETRACTED = "retracted"
    REMOVED = "removed"

    @property
    def stands(self) -> bool:
        """Do we still stand by it?"""
        return self in {Standing.SOUND, Standing.CORRECTED}


class Place(StrEnum):
    """Where a note stands on the page of its story."""

    TOP = "top"
    DATELINE = "dateline"
    FOOT = "foot"


LABELS = {
    ChangeKind.CORRECTION: "Correction",
    ChangeKind.CLARIFICATION: "Clarification",
    ChangeKind.UPDATE: "Updated",
    ChangeKind.LATE_DISCLOSURE: "Disclosure added",
    ChangeKind.RIGHT_OF_REPLY: "Response added",
    ChangeKind.EDITORS_NOTE: "Editor’s note",
    ChangeKind.RETRACTION: "Retracted",
    ChangeKind.REMOVAL: "Removed",
}
"""What each note is called. A correction is called nothing softer."""

WITHOUT_CHANGE = frozenset(
    {
        ChangeKind.CLARIFICATION,
        ChangeKind.EDITORS_NOTE,
        ChangeKind.RETRACTION,
        ChangeKind.REMOVAL,
    }
)
"""Notes that may come to a text that stays as it is."""

_OWN_SEVERITY = {
    ChangeKind.LATE_DISCLOSURE: Severity.SIGNIFICANT,
    ChangeKind.EDITORS_NOTE: Severity.SIGNIFICANT,
    ChangeKind.RETRACTION: Severity.SERIOUS,
    ChangeKind.REMOVAL: Severity.SERIOUS,
}


def severity_of(kind: ChangeKind, given: Severity | None) -> Severity:
    """How grave a note is: of a correction a person says so, the others follow from their kind."""
    if kind is ChangeKind.CORRECTION and given is not None:
        return given
    return _OWN_SEVERITY.get(kind, Severity.MINOR)


def place_of(kind: ChangeKind, severity: Severity) -> Place:
    """Severity decides the place; that the news moved on is said beside the date."""
    if severity is not Severity.MINOR:
        return Place.TOP
    return Place.DATELINE if kind is ChangeKind.UPDATE else Place.FOOT


def standing_after(before: Standing, kind: ChangeKind, severity: Severity | None) -> Standing:
    """Whether a story stands after a change: what was said before its headline stays said."""
    own = {
        ChangeKind.RETRACTION: Standing.RETRACTED,
        ChangeKind.REMOVAL: Standing.REMOVED,
        ChangeKind.CORRECTION: Standing.CORRECTED,
    }.get(kind, Standing.SOUND)
    if own is Standing.CORRECTED and severity is not Severity.SERIOUS:
        own = Standing.SOUND
    return max(before, own, key=list(Standing).index)


class Checked(StrEnum):
    """Did NIF check a press release?"""

    NO = "no"
    PARTLY = "partly"
    YES = "yes"


class Verdict(StrEnum):
    """What became of a story in review."""

    ASKED = "asked"
    APPROVED = "approved"
    SENT_BACK = "sent_back"
    CONFIRMED = "confirmed"
