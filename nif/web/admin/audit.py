"""Who did this: the acts, by person, by kind and by day."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from nif.accounts import auditing, managing
from nif.accounts.auditing import Act, Sought
from nif.clock import utc_now
from nif.database import Database
from nif.spreadsheets import written
from nif.web.access import Access, open_to
from nif.web.admin import house
from nif.web.admin.deeds import DEEDS, PLACES
from nif.web.current import parts, reading, settings
from nif.web.downloads import as_file

blueprint = Blueprint("admin_audit", __name__, url_prefix="/admin")
blueprint.context_processor(house.banner)

FAILED_SINCE = timedelta(days=7)
HEADINGS = ("at", "account", "name", "what", "kind", "subject", "detail")
LARGEST = 2**63 - 1


@blueprint.get("/audit")
@open_to(Access.ADMIN)
def look() -> ResponseReturnValue:
    typed = _typed()
    before = request.args.get("before", None, type=int)
    with reading() as session:
        page = auditing.acts(session, _sought(typed), before=before)
        people = [(one.id, one.name) for one in managing.everyone(session)]
        since = utc_now().date() - FAILED_SINCE
        failed = auditing.failed_sign_ins(session, since=since) if before is None else []
    return render_template(
        "admin/audit/look.html",
        page=page,
        people=people,
        failed=failed,
        typed=typed,
        deeds=DEEDS,
        place_of=place_of,
        in_words=in_words,
    )


@blueprint.get("/audit.csv")
@open_to(Access.ADMIN)
def download() -> ResponseReturnValue:
    return as_file(_lines(parts().database, _sought(_typed())), "audit.csv")


def place_of(act: Act) -> str | None:
    """Where what an act was done to can be looked at."""
    place = PLACES.get(act.subject_kind)
    return place.format(act.subject_id) if place else None


def in_words(detail: dict[str, Any] | None) -> str:
    """The detail of an act in one line: "role: editor → admin"."""
    return "; ".join(f"{name.replace('_', ' ')}: {_value(v)}" for name, v in (detail or {}).items())


def _value(value: Any) -> str:
    if isinstance(value, dict) and value.keys() == {"before", "after"}:
        return f"{_value(value['before'])} → {_value(value['after'])}"
    return "–" if value in (None, "") else str(value)


def _typed() -> dict[str, str]:
    return {name: request.args.get(name, "") for name in ("person", "what", "day")}


def _sought(typed: dict[str, str]) -> Sought:
    """What can be sought; a filter that makes no sense is none."""
    person = typed["person"]
    known = person.isascii() and person.isdecimal() and len(person) < 20 and int(person) <= LARGEST
    return Sought(
        account_id=int(person) if known else None,
        what=typed["what"] if typed["what"] in DEEDS else None,
        day=_day(typed["day"]),
    )


def _day(typed: str) -> datetime | None:
    """When a day begins on the clock of the house."""
    try:
        day = date.fromisoformat(typed)
    except ValueError:
        return None
    if not 2000 <= day.year < 9999:
        return None
    return datetime.combine(day, time(), ZoneInfo(settings().time_zone))


def _lines(database: Database, sought: Sought) -> Iterator[str]:
    """Read while it is sent, in a session of its own: the request's is over by then."""
    with database.snapshot() as session:
        yield from written(HEADINGS, map(_cells, auditing.all_acts(session, sought)))


def _cells(act: Act) -> tuple[object, ...]:
    moment = act.at.isoformat(timespec="seconds")
    who = (moment, act.account_id, act.account_name)
    return (*who, act.what, act.subject_kind, act.subject_id, in_words(act.detail))
