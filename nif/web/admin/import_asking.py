"""Asking those of an import who are pending to confirm: what they would get, and how fast."""

from dataclasses import replace
from datetime import timedelta

from flask import Blueprint, flash, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user

from nif.accounts.auditing import note
from nif.clock import utc_now
from nif.errors import Conflict, Invalid
from nif.importing import asking, steering
from nif.sends.asking import MOST_AN_HOUR
from nif.subscriptions.reading import get_list
from nif.web.access import Access, open_to
from nif.web.current import parts, reading, transaction

blueprint = Blueprint("asking", __name__)

ONE = f"/import/<int(max={2**63 - 1}):run_id>/ask"


@blueprint.get(ONE)
@open_to(Access.ADMIN)
def look(slug: str, run_id: int) -> ResponseReturnValue:
    return _page(slug, run_id)


@blueprint.post(ONE)
@open_to(Access.ADMIN)
def ask(slug: str, run_id: int) -> ResponseReturnValue:
    typed = request.form.get("per_hour", "").strip()
    try:
        with transaction() as session:
            now = utc_now()
            run = steering.get_run(session, get_list(session, slug).id, run_id, lock=True)
            per_hour = _number(typed)
            terms = replace(parts().terms_by_hand, within=_within())
            asked = asking.ask_to_confirm(session, run, parts().desk, per_hour, terms, now=now)
            detail = {"import": run.id, "asking": asked.id, "an_hour": per_hour}
            note(
                session,
                current_user,
                "import_asked",
                kind="list",
                subject=slug,
                detail=detail,
                now=now,
            )
    except Invalid as error:
        return _page(slug, run_id, typed, error.problems), 422
    except Conflict as error:
        flash(f"{error} Nothing was changed.")
    else:
        flash("They are asked from now on, each once. You can pause it at any time.", "good")
        parts().queue.wake("sends")
    return redirect(f"/admin/lists/{slug}/import/{run_id}", 303)


def _within() -> timedelta:
    return asking.longest(parts().times.unconfirmed)


def _hours(people: int, per_hour: str) -> float | None:
    """How long it takes; None where nobody can say."""
    try:
        return people / max(1, _number(per_hour))
    except Invalid:
        return None


def _number(typed: str) -> int:
    """Raises Invalid."""
    if not typed.isdecimal() or len(typed) > 6:
        raise Invalid({"per_hour": "Give a whole number, such as 500."})
    return int(typed)


def _page(
    slug: str, run_id: int, typed: str | None = None, problems: dict[str, str] | None = None
) -> str:
    with reading() as session:
        run = steering.get_run(session, get_list(session, slug).id, run_id)
        why_not = asking.why_not(session, run)
        people = 0 if why_not else asking.to_ask(session, run)
        least = asking.least_an_hour(people, _within())
        per_hour = str(max(asking.AN_HOUR, least)) if typed is None else typed
        return render_template(
            "admin/import_asking/ask.html",
            mailing_list=run.mailing_list,
            run=run,
            why_not=why_not or (None if people else asking.NOBODY),
            people=people,
            letter=asking.letter(parts().desk, run),
            per_hour=per_hour,
            least=least,
            most=MOST_AN_HOUR,
            hours=_hours(people, per_hour),
            problems=problems or {},
        )
