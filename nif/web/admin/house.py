"""What is the matter with the house as a whole, and what a person can do about it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from nif.accounts.auditing import note
from nif.clock import utc_now
from nif.mail.posting import Letter, given_up
from nif.sends import braking, chores, feedback, mirroring, telling
from nif.sends.chores import Chore
from nif.sends.events import EventPost
from nif.sends.reading import posts_set_aside
from nif.signups import watching
from nif.web.access import Access, open_to
from nif.web.admin import words
from nif.web.admin.words import Trouble
from nif.web.current import parts, reading, settings, transaction

blueprint = Blueprint("house", __name__)

LETTERS_SINCE = timedelta(days=7)


@dataclass(frozen=True)
class Banner:
    """The brake of the house in words. `next_try` is None where the next try is due already."""

    words: Trouble
    why: str
    since: datetime
    next_try: datetime | None


@dataclass(frozen=True)
class Matters:
    """What stops nothing, but needs a look."""

    posts: list[EventPost]
    pull: Chore | None
    push: Chore | None
    letters: list[Letter]

    def __bool__(self) -> bool:
        return bool(self.posts or self.pull or self.push or self.letters)


@blueprint.post("/sending/try")
@open_to(Access.ADMIN)
def try_now() -> ResponseReturnValue:
    with transaction() as session:
        now = utc_now()
        braking.try_now(session, now=now)
        note(session, current_user, "brake_tried", kind="house", subject="mail", now=now)
    parts().queue.wake("sends")
    flash("One batch is tried at once; the answer decides whether all goes on.", "good")
    return redirect(_where_from(), 303)


@blueprint.post("/events/again")
@open_to(Access.ADMIN)
def events_again() -> ResponseReturnValue:
    with transaction() as session:
        feedback.take_up_again(session)
        now = utc_now()
        note(session, current_user, "events_taken_up", kind="house", subject="events", now=now)
    parts().queue.wake("events")
    flash("They are processed once more. What fails again is set aside again.", "good")
    return redirect(_where_from(), 303)


def banner() -> dict[str, Any]:
    """For every page of the desk: the brake and the attack mode, where they are on."""
    now = utc_now()
    try:
        with reading() as session:
            found = braking.find_brake(session)
            attack = watching.find_attack(session, now=now)
    except OperationalError:
        # The page that says that the database does not answer is made with this too.
        found = attack = None
    return {"brake": _banner(found, now) if found else None, "attack": attack}


@blueprint.app_template_filter("second")
def second(moment: datetime) -> str:
    """A time of day to the second, on the clock of the house."""
    return words.clock(moment, settings().time_zone)


def matters(session: Session, *, now: datetime) -> Matters:
    """What an admin should look at, beside the sends."""
    pull = chores.find(session, mirroring.CHORE)
    push = chores.find(session, telling.CHORE)
    return Matters(
        posts=list(posts_set_aside(session)),
        pull=pull if pull and pull.trouble else None,
        push=push if push and push.trouble else None,
        letters=list(given_up(session, now - LETTERS_SINCE)),
    )


def _banner(found: braking.Brake, now: datetime) -> Banner:
    due = found.closed_until or now
    return Banner(
        words.brake(found), found.why or "", found.since or now, due if due > now else None
    )


def _where_from() -> str:
    """The page of the desk on which the button stood."""
    page = request.form.get("from", "")
    own = page.startswith("/admin/") and page.isprintable() and "\\" not in page
    return page if own else "/admin/"
