"""The newsroom in numbers, and the public register of its relationships: as pages and as JSON."""

import json
from datetime import timedelta
from typing import Any

from flask import Blueprint, jsonify, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.register.disclosure_decisions import count_waivers
from nif.register.models import OurSide, RelationshipVisibility
from nif.register.relationship_types import RELATIONSHIP_TYPES
from nif.register.relationships import (
    OurSideRelationships,
    count_relationships,
    list_public_relationships,
)
from nif.stories.models import NOTE_LABELS, ChangeKind, NoteSeverity, Story, StoryState
from nif.stories.reader_reports import ReportVerdict
from nif.stories.transparency_block import StoryAiUse, StoryOrigin
from nif.stories.transparency_report import (
    OPEN_VERDICT,
    UNANSWERED,
    TransparencyReport,
    build_transparency_report,
)
from nif.web.access import Access, page_view
from nif.web.current import links, settings
from nif.web.filters import format_timestamp
from nif.web.public.page_cache import cached_page, this_minute
from nif.web.public.policies import POLICIES

blueprint = Blueprint("transparency_report", __name__)

REPORT_SPEC = "nif-transparency-report/1.0"
MIN_STORIES_FOR_RATE = 20
"""With fewer stories, a rate says less than the plain numbers."""

ORIGINS = {
    StoryOrigin.OWN_IDEA: "Our own idea",
    StoryOrigin.MONITORING: "Seen in what others publish",
    StoryOrigin.READER_TIP: "A reader’s tip",
    StoryOrigin.PRESS_RELEASE: "A press release",
    StoryOrigin.PITCHED: "Pitched to us",
    StoryOrigin.COMMERCIAL: "Our commercial team",
    StoryOrigin.OWNER: "Our owner",
    UNANSWERED: "Not recorded",
}
AI_USES = {
    StoryAiUse.NONE: "Nothing",
    StoryAiUse.TOOLING: "Transcribing, searching, finding misspellings",
    StoryAiUse.ASSISTED: "Part of the text",
    StoryAiUse.GENERATED: "The first version",
    UNANSWERED: "Not recorded",
}
SEVERITIES = {severity: severity.value.capitalize() for severity in NoteSeverity}
VERDICTS = {
    ReportVerdict.UPHELD: "The reader was right",
    ReportVerdict.PARTLY: "Right in part",
    ReportVerdict.NOT_UPHELD: "The story stands",
    ReportVerdict.DUPLICATE: "Known already",
    OPEN_VERDICT: "Not answered yet",
}
NOTE_KINDS = {
    kind.value: label for kind, label in NOTE_LABELS.items() if kind is not ChangeKind.CORRECTION
}
CHECK_DESCRIPTIONS = {
    "G06": "a quotation without a source beside it",
    "G08": "a source who is not named",
    "G11": "an idea of our owner or commercial team",
    "G23": "an accusation without a request for reply",
}


# Both are cached for a minute only: reports and waivers do not change the page version.


@cached_page(blueprint, "/transparency", by=this_minute)
def show(session: Session) -> str:
    found = build_transparency_report(session, on=this_minute().date())
    return render_template(
        "public/transparency_report/show.html",
        report=found,
        minute=this_minute(),
        origins=_named_counts(ORIGINS, found.stories.by_origin),
        ai=_named_counts(AI_USES, found.stories.by_ai),
        severities=_named_counts(SEVERITIES, found.notes.by_severity),
        notes=_named_counts(NOTE_KINDS, found.notes.by_kind),
        verdicts=_named_counts(VERDICTS, found.reports.by_verdict),
        check_descriptions=CHECK_DESCRIPTIONS,
        relationship_types=RELATIONSHIP_TYPES,
        span=duration_in_words,
    )


def _named_counts(names: Any, counts: Any) -> list[tuple[str, int]]:
    """Names with counts, in the order of `names`; "not recorded" is left out where it is 0."""
    return [
        (words, counts.get(name, 0))
        for name, words in names.items()
        if counts.get(name, 0) or name != UNANSWERED
    ]


def duration_in_words(span: timedelta) -> str:
    """A duration in its most telling unit: "40 minutes", "3 hours", "2 days"."""
    minutes = round(span.total_seconds() / 60)
    for unit, size in (("day", 1440), ("hour", 60)):
        if minutes >= 2 * size:
            count = round(minutes / size)
            return f"{count:,} {unit}s"
    return "1 minute" if minutes == 1 else f"{minutes} minutes"


@cached_page(blueprint, "/transparency.json", mimetype="application/json", by=this_minute)
def show_json(session: Session) -> str:
    site, minute = settings(), this_minute()
    counts = build_transparency_report(session, on=minute.date())
    report = {
        "spec": REPORT_SPEC,
        "publisher": {"name": site.site_name, "url": links().home(), "parent": site.owner_name},
        "generated_at": format_timestamp(minute),
        "period": {
            "from": format_timestamp(counts.stories.since) if counts.stories.since else None,
            "to": format_timestamp(minute),
        },
        "policies": {slug: links().policy(slug) for slug in POLICIES},
        **_counts_as_data(counts),
        "relationships": {
            "listed": counts.relationships_listed,
            "withheld": counts.relationships_withheld,
            "url": links().path("/relationships.json"),
        },
        "ledger": _ledger_as_data(counts),
        "corrections_feed": links().path("/corrections.xml"),
    }
    return json.dumps(report, ensure_ascii=False, indent=2) + "\n"


def _counts_as_data(found: TransparencyReport) -> dict[str, Any]:
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
            "by_gate": found.by_check,
            "reasons": [vars(each) for each in found.overrides],
        },
        "waivers": [
            {**vars(each), "type": each.type.value, "count": each.count} for each in found.waivers
        ],
        "corrections": {
            "total": corrections,
            "by_severity": notes.by_severity,
            "per_100_stories": _per_hundred(corrections, stories.total),
            "median_hours_publish_to_fix": _in_hours(notes.median_stood),
            "other_notes": notes.by_kind,
        },
        "reader_reports": {
            "received": sum(reports.by_verdict.values()),
            "by_verdict": reports.by_verdict,
            "median_hours_to_answer": _in_hours(reports.median_answer),
        },
    }


def _ledger_as_data(found: TransparencyReport) -> dict[str, Any]:
    seal = found.ledger_checkpoint
    return {
        "size": found.ledger_end.seq if found.ledger_end else 0,
        "root": found.ledger_end.root if found.ledger_end else None,
        "signed_size": seal.size if seal else None,
        "signed_root": seal.root if seal else None,
        "signed_at": format_timestamp(seal.signed_at) if seal else None,
        "signature": seal.signature if seal else None,
        "key": links().path("/.well-known/nif-transparency-key.json"),
    }


def _per_hundred(count: int, of: int) -> float | None:
    """The rate per 100; None where there are too few stories for it to mean something."""
    return round(100 * count / of, 1) if of >= MIN_STORIES_FOR_RATE else None


def _in_hours(span: timedelta | None) -> float | None:
    return round(span.total_seconds() / 3600, 2) if span is not None else None


@page_view(blueprint, Access.PUBLIC, "/relationships")
def list_relationships(session: Session) -> str:
    return render_template(
        "public/transparency_report/list_relationships.html",
        register=_read_register(session),
        relationship_types=RELATIONSHIP_TYPES,
    )


@page_view(blueprint, Access.PUBLIC, "/relationships.json")
def list_relationships_json(session: Session) -> ResponseReturnValue:
    register = _read_register(session)
    return jsonify(
        day=register["day"].isoformat(),
        relationships=[_side_as_data(name, side) for name, side in register["sides"]],
        withheld=register["withheld"],
        waivers=[
            {**vars(each), "type": each.type.value, "count": each.count}
            for each in register["waivers"]
        ],
    )


def _read_register(session: Session) -> dict[str, Any]:
    """Today's public register: relationships by our side, how many are withheld, waivers."""
    today = utc_now().date()
    published = select(Story.id).where(Story.state == StoryState.PUBLISHED)
    sides = list_public_relationships(session, on=today)
    return {
        "day": today,
        "sides": [(_side_name(side), side) for side in sides],
        "withheld": count_relationships(session, RelationshipVisibility.MATCH_ONLY, on=today),
        "waivers": count_waivers(session, stories=published),
    }


def _side_name(side: OurSideRelationships) -> str:
    names = {OurSide.NIF: settings().site_short_name, OurSide.OWNER: settings().owner_name}
    return names.get(side.our_side, side.name)


def _side_as_data(name: str, side: OurSideRelationships) -> dict[str, Any]:
    today = utc_now().date()
    return {
        "our_side": {"kind": side.our_side.value, "name": name},
        "with": [
            {
                "party": {"name": each.party.name, "kind": each.party.kind.value},
                "type": each.type.value,
                "since": each.since.isoformat() if each.since else None,
                "until": each.until.isoformat() if each.until else None,
                "sentence": each.sentence_on(today),
            }
            for each in side.relationships
        ],
    }
