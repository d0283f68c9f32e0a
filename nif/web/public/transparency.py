"""What NIF tells about itself: its report in numbers, its relationships, and its ledger."""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

from flask import Blueprint, Response, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.database import Database
from nif.ledger import queries
from nif.ledger.models import LedgerEntryKind
from nif.ledger.payloads import format_ledger_time
from nif.ledger.signatures import as_jwk
from nif.register.disclosure_decisions import count_waivers
from nif.register.models import OurSide, RelationshipVisibility
from nif.register.relationship_types import RELATIONSHIP_TYPES
from nif.register.relationships import (
    OurSideRelationships,
    count_relationships,
    list_public_relationships,
)
from nif.stories.models import NOTE_LABELS, ChangeKind, NoteSeverity, Story, StoryState
from nif.stories.publishing import map_slugs_by_ledger_id
from nif.stories.reader_reports import ReportVerdict
from nif.stories.transparency_block import StoryAiUse, StoryOrigin
from nif.stories.transparency_report import (
    OPEN_VERDICT,
    UNANSWERED,
    TransparencyReport,
    build_transparency_report,
)
from nif.web.access import Access, open_to, page_view
from nif.web.current import links, services, settings
from nif.web.filters import format_timestamp
from nif.web.public.page_cache import cached_page, this_minute
from nif.web.public.policies import POLICIES

blueprint = Blueprint("transparency", __name__)

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
        "public/transparency/show.html",
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
        "public/transparency/list_relationships.html",
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
    names = {OurSide.NIF: settings().site_short_name, OurSide.OWNER: settings().owner_name}
    return {
        "day": today,
        "sides": [(names.get(side.our_side, side.name), side) for side in sides],
        "withheld": count_relationships(session, RelationshipVisibility.MATCH_ONLY, on=today),
        "waivers": count_waivers(session, stories=published),
    }


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


MAX_SEQ = 2**63 - 1
ENTRIES_PER_PAGE = 50


@page_view(blueprint, Access.PUBLIC, "/transparency/ledger")
def show_ledger(session: Session) -> str:
    after = request.args.get("after")
    page = queries.list_newest_entries(session, after=after, size=ENTRIES_PER_PAGE)
    slugs = map_slugs_by_ledger_id(session, {each.story for each in page.rows if each.story})
    return render_template(
        "public/transparency/show_ledger.html",
        end=queries.find_chain_end(session),
        checkpoint=queries.find_newest_checkpoint(session),
        entries=[(entry, describe_entry(entry, slugs)) for entry in page.rows],
        page=page,
        is_later=bool(after),
    )


@blueprint.get("/transparency/ledger.jsonl")
@open_to(Access.PUBLIC)
def download_ledger() -> ResponseReturnValue:
    after = min(max(request.args.get("after", 0, type=int), 0), MAX_SEQ)
    return Response(_stream_lines(services().database, after), mimetype="application/jsonl")


@page_view(blueprint, Access.PUBLIC, "/.well-known/nif-transparency-key.json")
def show_ledger_keys(session: Session) -> ResponseReturnValue:
    known = queries.list_ledger_keys(session)
    response = jsonify(
        keys=[
            {**as_jwk(key.key_id, key.public_key), "since": format_ledger_time(key.since)}
            for key in known
        ]
    )
    response.headers["Cache-Control"] = "public, max-age=300"
    return response


RELATIONSHIP_ACTIONS = {
    "added": "Relationship declared",
    "changed": "Relationship changed",
    "ended": "Relationship ended",
    "withdrawn": "Relationship taken off the public list",
}
REPORT_ACTIONS = {"received": "Report received", "answered": "Report answered"}
REPORTED_VERDICTS = {
    "upheld": "the reader was right",
    "partly": "the reader was right in part",
    "not_upheld": "the story stands",
    "duplicate": "it was known already",
}


def describe_entry(entry: queries.LedgerRow, slugs: Mapping[str, str]) -> tuple[str, str, str]:
    """An entry for people: what was done, about what, and where that can be read.

    An entry without known words is called by its kind.

    `slugs` maps the ids by which the ledger names stories to their slugs. A story that is not
    among them is called by its id, without a link.
    """
    payload = {name: str(value) for name, value in entry.payload.items()}
    if entry.kind == LedgerEntryKind.RELATIONSHIP and payload:
        action = RELATIONSHIP_ACTIONS.get(payload.get("action", ""), "Relationship")
        return action, payload.get("sentence", ""), "/relationships"
    if entry.kind == LedgerEntryKind.POLICY and payload:
        slug, version = payload.get("policy", ""), payload.get("version", "")
        link = f"{links().policy(quote(slug, safe=''))}?{urlencode({'version': version})}"
        return "Policy", f"{payload.get('title', slug)}, version {version}", link
    action = entry.kind.replace("_", " ").capitalize()
    if entry.kind == LedgerEntryKind.REPORT and payload:
        action = REPORT_ACTIONS.get(payload.get("action", ""), action)
        if verdict := REPORTED_VERDICTS.get(payload.get("verdict", "")):
            action = f"{action}, {verdict}"
    if not entry.story:
        return action, "", ""
    slug = slugs.get(entry.story, "")
    about = slug or f"story {entry.story}"
    if entry.revision:
        about = f"{about}, revision {entry.revision}"
    return action, about, f"/articles/{quote(slug, safe='')}" if slug else ""


def _stream_lines(database: Database, after: int) -> Iterator[bytes]:
    """Read a slice at a time while sending, so that a slow client holds no connection.

    The ledger only grows, so this equals a snapshot.
    """
    is_last = False
    while not is_last:
        with database.reading() as session:
            part = queries.load_ledger_slice(session, after=after)
        yield b"".join(map(queries.encode_export_line, part.in_order()))
        is_last = part.is_last
        after = part.entries[-1].seq if part.entries else after
