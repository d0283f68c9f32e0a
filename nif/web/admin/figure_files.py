"""The figures as files that other programs read: a table each, or all as one document."""

from collections.abc import Iterable, Sequence

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from nif.clock import utc_now
from nif.sends.comparing import Compared, compare
from nif.sends.rating import Rates, rolling
from nif.spreadsheets import written
from nif.subscriptions.days import Happening
from nif.subscriptions.growing import CAME, sources
from nif.web.access import Access, open_to
from nif.web.admin import figure_words, sight
from nif.web.current import reading
from nif.web.downloads import as_file

blueprint = Blueprint("files", __name__)

EDITIONS = SOURCES = 500
EVENTS = ("delivered", "deferred", "blocked", "bounce", "dropped", "spamreport")
TRACKED = ("open", "machine_open", "click")


@blueprint.get("/growth.csv")
@open_to(Access.ADMIN)
def growth() -> ResponseReturnValue:
    with reading() as session:
        seen = sight.read(session, utc_now())
        shown = sight.past(session, seen)[-seen.period :]
    headings = ("day", "subscribers", *(what.value for what in Happening))
    rows = [(one.last, one.confirmed, *(one.of(what) for what in Happening)) for one in shown]
    return _file(headings, rows, f"growth-{seen.name}")


@blueprint.get("/sources.csv")
@open_to(Access.ADMIN)
def where_from() -> ResponseReturnValue:
    with reading() as session:
        seen = sight.read(session, utc_now())
        rows = [
            (what.value, source, figure_words.source(source).words, count)
            for what in (*CAME, Happening.LEFT, Happening.REMOVED)
            for source, count in sources(session, seen.lists, [what], seen.first).items()
        ]
    return _file(("what", "source", "in_words", "count"), rows, f"sources-{seen.name}")


@blueprint.get("/health.csv")
@open_to(Access.ADMIN)
def health() -> ResponseReturnValue:
    with reading() as session:
        seen = sight.read(session, utc_now())
        found = rolling(sight.past(session, seen), seen.first)
    headings = ("seven_days_to", "delivered", "bounced", "complained", "complaints", "bounces")
    return _file(headings, [(day, *_rates(one)) for day, one in found], f"health-{seen.name}")


@blueprint.get("/editions.csv")
@open_to(Access.ADMIN)
def editions() -> ResponseReturnValue:
    now = utc_now()
    with reading() as session:
        seen = sight.read(session, now)
        compared = compare(session, seen.lists, most=EDITIONS, now=now)
    headings = ("send", "list", "subject", "began", "state", "audience", "mailed", "left")
    rows = [tuple(_edition(one).values()) for one in compared]
    return _file((*headings, *EVENTS, *TRACKED), rows, f"editions-{seen.slug or 'all'}")


@blueprint.get("/figures.json")
@open_to(Access.ADMIN)
def everything() -> ResponseReturnValue:
    """All of the page as one document."""
    now = utc_now()
    with reading() as session:
        seen = sight.read(session, now)
        past = sight.past(session, seen)
        compared = compare(session, seen.lists, most=EDITIONS, now=now)
        came = sources(session, seen.lists, CAME, seen.first, most=SOURCES)
        went = sources(session, seen.lists, [Happening.LEFT], seen.first)
    month = sight.last_month(past)
    return jsonify(
        lists=[one.slug for one in seen.lists],
        first=str(seen.first),
        last=str(seen.last),
        subscribers=past[-1].confirmed,
        days=[
            {"day": str(one.last), "subscribers": one.confirmed, **one.counts}
            for one in past[-seen.period :]
        ],
        came_from=came,
        left_by=went,
        last_30_days={"complaints": month.complaints.share, "bounces": month.bounces.share},
        editions=[_edition(one) for one in compared],
    )


def _rates(found: Rates) -> tuple[object, ...]:
    complained, bounced = found.complaints, found.bounces
    shares = [None if one is None else round(one, 6) for one in (complained.share, bounced.share)]
    return complained.whole, bounced.part, complained.part, *shares


def _edition(one: Compared) -> dict[str, object]:
    """A send as files say it."""
    return {
        "send": one.send_id,
        "list": one.list_title,
        "subject": one.subject,
        "began": one.starts_at.isoformat(timespec="seconds"),
        "state": one.state.value,
        "audience": one.audience,
        "mailed": one.mailed,
        "left": one.left,
        **{kind: one.reported.get(kind, 0) for kind in (*EVENTS, *TRACKED)},
    }


def _file(
    headings: Sequence[str], rows: Iterable[Sequence[object]], name: str
) -> ResponseReturnValue:
    return as_file(written(headings, rows), f"{name}.csv")
