"""Subscribers: finding them among a million, and each one's whole story."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.audience import acting, asking, finding, telling
from nif.audience.asking import Conditions
from nif.audience.compiling import Ground, survey
from nif.audience.finding import Page
from nif.audience.sources import known_sources
from nif.clock import utc_now
from nif.errors import Conflict, Invalid
from nif.subscriptions import pausing
from nif.subscriptions.models import SubscriptionState, Suppression
from nif.subscriptions.reading import all_lists
from nif.web.access import Access, open_to
from nif.web.admin import condition_form, erasing, house, words
from nif.web.admin.audit import in_words
from nif.web.admin.deeds import DEEDS
from nif.web.current import reading, settings, transaction

blueprint = Blueprint("admin_subscribers", __name__, url_prefix="/admin/subscribers")
blueprint.context_processor(house.banner)
blueprint.register_blueprint(erasing.blueprint)

ONE = f"/<int(max={2**63 - 1}):subscriber_id>"
FILTERS = ("part", "list", "state", "source", "from", "before", "alive", "mail")
STATES = {
    SubscriptionState.CONFIRMED.value: "Confirmed",
    SubscriptionState.PENDING.value: "Not confirmed yet",
    SubscriptionState.LEFT.value: "Left",
}


@dataclass(frozen=True)
class Filters:
    """What was typed, and which of it a row of the language is about."""

    typed: Mapping[str, str]
    rows: Sequence[tuple[str, str, str, str]]

    def problems(self, error: Invalid) -> dict[str, str]:
        """The problems of rows, under the names of the fields that they came from."""
        names = {f"value-{n}": row[0] for n, row in enumerate(self.rows)}
        return {names.get(name, name): text for name, text in error.problems.items()}


@blueprint.get("")
@open_to(Access.ADMIN)
def find() -> ResponseReturnValue:
    filters = _filters()
    problems: dict[str, str] = {}
    after = request.args.get("after") or None
    with reading() as session:
        ground = survey(session, settings().time_zone)
        try:
            asked = _read(filters, ground)
        except Invalid as error:
            asked, problems = Conditions(), filters.problems(error)
        page = Page([], None) if problems else finding.find(session, asked, ground, after=after)
        lists = {one.slug: one.title for one in all_lists(session)}
        sources = known_sources(session)
    return render_template(
        "admin/subscribers/find.html",
        page=page,
        typed=filters.typed,
        kept={name: value for name, value in filters.typed.items() if value},
        is_sought=bool(filters.rows),
        as_segment=condition_form.in_address(asked.rows),
        problems=problems,
        after=after,
        lists=lists,
        states=STATES,
        sources=sources,
        most=finding.LOOK,
    ), 422 if problems else 200


@blueprint.get(ONE)
@open_to(Access.ADMIN)
def one(subscriber_id: int) -> ResponseReturnValue:
    before = request.args.get("before", None, type=int)
    with reading() as session:
        known = telling.get_subscriber(session, subscriber_id)
        life = telling.tell(session, known)
        mailings = telling.mailings(session, known, before=before)
        return render_template(
            "admin/subscribers/one.html",
            life=life,
            mailings=mailings,
            before=before,
            states=STATES,
            reasons=condition_form.REASONS,
            may_lift=acting.may_lift(life.suppression),
            is_paused=pausing.is_paused(known, now=utc_now()),
            reported=words.REPORTED,
            deeds=DEEDS,
            in_words=in_words,
        )


@blueprint.get(f"{ONE}/leave/<slug>")
@open_to(Access.ADMIN)
def ask_to_take_off(subscriber_id: int, slug: str) -> ResponseReturnValue:
    with reading() as session:
        known = telling.get_subscriber(session, subscriber_id)
        return render_template(
            "admin/subscribers/take_off.html",
            subscriber=known,
            subscription=acting.get_subscription(session, known, slug),
        )


@blueprint.post(f"{ONE}/leave/<slug>")
@open_to(Access.ADMIN)
def take_off(subscriber_id: int, slug: str) -> ResponseReturnValue:
    def off(session: Session, now: datetime) -> None:
        known = telling.get_subscriber(session, subscriber_id)
        acting.take_off(session, known, slug, by=current_user, now=now)

    return _do(subscriber_id, off, "Taken off that list. What was mailed before stays on record.")


@blueprint.get(f"{ONE}/suppress")
@open_to(Access.ADMIN)
def ask_to_suppress(subscriber_id: int) -> ResponseReturnValue:
    return _suppress_page(subscriber_id)


@blueprint.post(f"{ONE}/suppress")
@open_to(Access.ADMIN)
def suppress(subscriber_id: int) -> ResponseReturnValue:
    reason = request.form.get("reason", "")

    def stop(session: Session, now: datetime) -> None:
        known = telling.get_subscriber(session, subscriber_id)
        acting.suppress_by_hand(session, known, reason, by=current_user, now=now)

    try:
        return _do(subscriber_id, stop, "Suppressed. No list mails this address from now on.")
    except Invalid as error:
        return _suppress_page(subscriber_id, reason, error.problems), 422


@blueprint.get(f"{ONE}/lift")
@open_to(Access.ADMIN)
def ask_to_lift(subscriber_id: int) -> ResponseReturnValue:
    with reading() as session:
        known = telling.get_subscriber(session, subscriber_id)
        standing = session.get(Suppression, known.canonical)
        return render_template(
            "admin/subscribers/lift.html",
            subscriber=known,
            suppression=standing,
            may_lift=acting.may_lift(standing),
        )


@blueprint.post(f"{ONE}/lift")
@open_to(Access.ADMIN)
def lift(subscriber_id: int) -> ResponseReturnValue:
    def raise_it(session: Session, now: datetime) -> None:
        known = telling.get_subscriber(session, subscriber_id)
        acting.lift(session, known, by=current_user, now=now)

    return _do(subscriber_id, raise_it, "Lifted. The lists that they are on mail them again.")


def _do(subscriber_id: int, deed: Any, after: str) -> ResponseReturnValue:
    """Do something to a subscriber and say so. Raises NotFound, Invalid."""
    try:
        with transaction() as session:
            deed(session, utc_now())
    except Conflict as error:
        flash(f"{error} Nothing was changed.")
    else:
        flash(after, "good")
    return redirect(url_for(".one", subscriber_id=subscriber_id), 303)


def _suppress_page(
    subscriber_id: int, reason: str = "", problems: dict[str, str] | None = None
) -> str:
    with reading() as session:
        known = telling.get_subscriber(session, subscriber_id)
        return render_template(
            "admin/subscribers/suppress.html",
            subscriber=known,
            suppression=session.get(Suppression, known.canonical),
            reason=reason,
            problems=problems or {},
            most=acting.LONGEST_REASON,
        )


def _filters() -> Filters:
    typed = {name: request.args.get(name, "").strip() for name in FILTERS}
    state = typed["state"] if typed["state"] in STATES else SubscriptionState.CONFIRMED.value
    suppressed = "not_because" if typed["mail"] == "yes" else "because"
    rows = (
        ("part", "address", "contains", typed["part"]),
        ("list", "list", state, typed["list"]),
        ("source", "source", "is", typed["source"]),
        ("from", "joined", "since", typed["from"]),
        ("before", "joined", "before", typed["before"]),
        ("alive", "life", "since", typed["alive"]),
        ("mail", "suppressed", suppressed, "any" if typed["mail"] else ""),
    )
    return Filters(typed, [row for row in rows if row[3]])


def _read(filters: Filters, ground: Ground) -> Conditions:
    """Raises Invalid."""
    conditions = [
        {"field": field, "operator": operator, "value": value}
        for _, field, operator, value in filters.rows
    ]
    return asking.parse({"match": "all", "conditions": conditions}, lists=ground.lists.keys())
