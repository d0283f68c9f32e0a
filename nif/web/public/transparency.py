"""The newsroom in numbers: a report for people, and the same for programs."""

import json
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Response, render_template

from nif.clock import utc_now
from nif.register.natures import NATURES
from nif.stories.answers import AiUse, Origin
from nif.stories.kinds import LABELS, ChangeKind, Severity
from nif.stories.reporting import ReportVerdict
from nif.stories.tallying import OPEN, UNANSWERED, Tally, tally
from nif.web.access import Access, open_to
from nif.web.current import links, reading, settings
from nif.web.filters import iso
from nif.web.public.caching import kept
from nif.web.public.policy_texts import POLICIES

blueprint = Blueprint("transparency", __name__)

SPEC = "nif-transparency-report/1.0"
FEW = 20
"""Below as many stories a rate says less than the plain numbers."""

ORIGINS = {
    Origin.OWN_IDEA: "Our own idea",
    Origin.MONITORING: "Seen in what others publish",
    Origin.READER_TIP: "A reader’s tip",
    Origin.PRESS_RELEASE: "A press release",
    Origin.PITCHED: "Pitched to us",
    Origin.COMMERCIAL: "Our commercial team",
    Origin.OWNER: "Our owner",
    UNANSWERED: "Not recorded",
}
AI = {
    AiUse.NONE: "Nothing",
    AiUse.TOOLING: "Transcribing, searching, finding misspellings",
    AiUse.ASSISTED: "Part of the text",
    AiUse.GENERATED: "The first version",
    UNANSWERED: "Not recorded",
}
SEVERITIES = {
    Severity.MINOR: "Minor",
    Severity.SIGNIFICANT: "Significant",
    Severity.SERIOUS: "Serious",
}
VERDICTS = {
    ReportVerdict.UPHELD: "The reader was right",
    ReportVerdict.PARTLY: "Right in part",
    ReportVerdict.NOT_UPHELD: "The story stands",
    ReportVerdict.DUPLICATE: "Known already",
    OPEN: "Not answered yet",
}
NOTES = {kind.value: label for kind, label in LABELS.items() if kind is not ChangeKind.CORRECTION}
GATES = {
    "G06": "a quotation without a source beside it",
    "G08": "a source who is not named",
    "G11": "an idea of our owner or commercial team",
    "G23": "an accusation without a request for reply",
}


@blueprint.get("/transparency")
@open_to(Access.PUBLIC)
def page() -> Response:
    """Reports and waivers change nothing on the shelf, so it is kept for a minute at most."""
    minute = utc_now().replace(second=0, microsecond=0)
    return kept(lambda: _page(minute), by=iso(minute))


@blueprint.get("/transparency.json")
@open_to(Access.PUBLIC)
def as_json() -> Response:
    minute = utc_now().replace(second=0, microsecond=0)
    return kept(lambda: _json(minute), "application/json", by=iso(minute))


def _page(minute: datetime) -> str:
    found = _tally(minute)
    return render_template(
        "public/transparency/report.html",
        tally=found,
        minute=minute,
        origins=_named(ORIGINS, found.stories.by_origin),
        ai=_named(AI, found.stories.by_ai),
        severities=_named(SEVERITIES, found.notes.by_severity),
        notes=_named(NOTES, found.notes.by_kind),
        verdicts=_named(VERDICTS, found.reports.by_verdict),
        gates=GATES,
        natures=NATURES,
        span=in_words,
    )


def _tally(minute: datetime) -> Tally:
    with reading() as session:
        return tally(session, on=minute.date())


def _named(names: Any, counts: Any) -> list[tuple[str, int]]:
    """Each row by its name, in our order; what was never asked for is left out where it is 0."""
    return [
        (words, counts.get(name, 0))
        for name, words in names.items()
        if counts.get(name, 0) or name != UNANSWERED
    ]


def in_words(span: timedelta) -> str:
    """A time in the unit that says most: "40 minutes", "3 hours", "2 days"."""
    minutes = round(span.total_seconds() / 60)
    for unit, size in (("day", 1440), ("hour", 60)):
        if minutes >= 2 * size:
            count = round(minutes / size)
            return f"{count:,} {unit}s"
    return "1 minute" if minutes == 1 else f"{minutes} minutes"


def _json(minute: datetime) -> str:
    found, house = _tally(minute), settings()
    report = {
        "spec": SPEC,
        "publisher": {
            "name": house.site_name,
            "url": links().home(),
            "parent": house.owner_name,
        },
        "generated_at": iso(minute),
        "period": {
            "from": iso(found.stories.since) if found.stories.since else None,
            "to": iso(minute),
        },
        "policies": {slug: links().policy(slug) for slug in POLICIES},
        **_counted(found),
        "relationships": {
            "listed": found.listed,
            "withheld": found.withheld,
            "url": links().page("/relationships.json"),
        },
        "ledger": _ledger(found),
        "corrections_feed": links().page("/corrections.xml"),
    }
    return json.dumps(report, ensure_ascii=False, indent=2) + "\n"


def _counted(found: Tally) -> dict[str, Any]:
    stories, notes, reports = found.stories, found.notes, found.reports
    corrections = sum(notes.by_severity.values())
    return {
        "counts": {
            "stories": stories.total,
            "by_type": stories.by_type,
            "by_origin": stories.by_origin,
            "with_relationship": stories.with_relationship,
            "waived": sum(each.count for each in found.waivers),
            "late_disclosures": notes.by_kind.get(ChangeKind.LATE_DISCLOSURE.value, 0),
        },
        "ai": stories.by_ai,
        "gates_overridden": {
            "by_gate": found.by_gate,
            "reasons": [vars(each) for each in found.overrides],
        },
        "waivers": [
            {**vars(each), "nature": each.nature.value, "count": each.count}
            for each in found.waivers
        ],
        "corrections": {
            "total": corrections,
            "by_severity": notes.by_severity,
            "per_100_stories": _rate(corrections, stories.total),
            "median_hours_publish_to_fix": _hours(notes.median_stood),
            "other_notes": notes.by_kind,
        },
        "reader_reports": {
            "received": sum(reports.by_verdict.values()),
            "by_verdict": reports.by_verdict,
            "median_hours_to_answer": _hours(reports.median_answer),
        },
    }


def _ledger(found: Tally) -> dict[str, Any]:
    seal = found.checkpoint
    return {
        "size": found.end.seq if found.end else 0,
        "root": found.end.root if found.end else None,
        "signed_size": seal.size if seal else None,
        "signed_root": seal.root if seal else None,
        "signed_at": iso(seal.signed_at) if seal else None,
        "signature": seal.signature if seal else None,
        "key": links().page("/.well-known/nif-transparency-key.json"),
    }


def _rate(count: int, of: int) -> float | None:
    """For a hundred; None where there are too few for it to mean something."""
    return round(100 * count / of, 1) if of >= FEW else None


def _hours(span: timedelta | None) -> float | None:
    return round(span.total_seconds() / 3600, 2) if span is not None else None
