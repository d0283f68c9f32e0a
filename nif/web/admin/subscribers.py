"""Subscribers: finding them among a million, and each one's whole story.

What somebody asked an admin for: a copy of all that is known of them, or to be forgotten.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.accounts.audit_log import record_audit_entry
from nif.clock import utc_now
from nif.errors import Conflict, Invalid
from nif.privacy import erasure, export
from nif.privacy.person import person_of_subscriber
from nif.subscribers import manual_suppressions, profile, segment_conditions, segment_queries
from nif.subscribers.segment_conditions import SegmentConditions
from nif.subscribers.segment_queries import (
    SegmentContext,
    SubscriberPage,
    list_consent_sources,
    load_segment_context,
)
from nif.subscriptions import preferences
from nif.subscriptions.lists import all_lists
from nif.subscriptions.models import SubscriptionState, Suppression
from nif.web.access import Access, open_to
from nif.web.admin import segment_form, send_status, system_status
from nif.web.admin.audit_labels import ACTION_LABELS
from nif.web.admin.audit_log import describe_detail
from nif.web.current import reading, services, settings, transaction
from nif.web.downloads import download_response

blueprint = Blueprint("admin_subscribers", __name__, url_prefix="/admin/subscribers")
blueprint.context_processor(system_status.status_banner)

ONE = f"/<int(max={2**63 - 1}):subscriber_id>"


@blueprint.get(f"{ONE}/data.json")
@open_to(Access.ADMIN)
def download_data(subscriber_id: int) -> ResponseReturnValue:
    with reading() as session:
        known = profile.get_subscriber(session, subscriber_id)
        found = export.export_person(session, person_of_subscriber(known), now=utc_now())
    return download_response(json.dumps(found, indent=2), f"subscriber-{subscriber_id}.json")


@blueprint.get(f"{ONE}/erase")
@open_to(Access.ADMIN)
def confirm_erase(subscriber_id: int) -> ResponseReturnValue:
    with reading() as session:
        known = profile.get_subscriber(session, subscriber_id)
    return render_template("admin/subscribers/confirm_erase.html", subscriber=known)


@blueprint.post(f"{ONE}/erase")
@open_to(Access.ADMIN)
def erase(subscriber_id: int) -> ResponseReturnValue:
    folder, now = services().settings.imports, utc_now()
    with transaction() as session:
        person = person_of_subscriber(profile.get_subscriber(session, subscriber_id))
        erasure.erase_person(session, person, folder, source="an admin", now=now)
        who = str(person.id)
        record_audit_entry(
            session,
            current_user,
            "subscriber_erased",
            subject_kind="subscriber",
            subject_id=who,
            now=now,
        )
    services().database.truncate_wal()
    flash("Erased. No list, form or import can mail this reader again.", "good")
    return redirect(url_for("admin_subscribers.index"), 303)


FILTER_FIELDS = ("part", "list", "state", "source", "from", "before", "alive", "mail")
STATE_LABELS = {
    SubscriptionState.CONFIRMED.value: "Confirmed",
    SubscriptionState.PENDING.value: "Not confirmed yet",
    SubscriptionState.UNSUBSCRIBED.value: "Left",
}


@dataclass(frozen=True)
class SubscriberFilters:
    """What was typed, and which of it a row of the language is about."""

    typed: Mapping[str, str]
    rows: Sequence[tuple[str, str, str, str]]

    def problems(self, error: Invalid) -> dict[str, str]:
        """The problems of rows, under the names of the fields that they came from."""
        names = {f"value-{n}": row[0] for n, row in enumerate(self.rows)}
        return {names.get(name, name): text for name, text in error.problems.items()}


@blueprint.get("")
@open_to(Access.ADMIN)
def index() -> ResponseReturnValue:
    filters = _read_filters()
    problems: dict[str, str] = {}
    after = request.args.get("after") or None
    with reading() as session:
        context = load_segment_context(session, settings().time_zone)
        try:
            conditions = _parse_conditions(filters, context)
        except Invalid as error:
            conditions, problems = SegmentConditions(), filters.problems(error)
        page = (
            SubscriberPage([], None)
            if problems
            else segment_queries.search_subscribers(session, conditions, context, after=after)
        )
        lists = {one.slug: one.title for one in all_lists(session)}
        sources = list_consent_sources(session)
    return render_template(
        "admin/subscribers/index.html",
        page=page,
        typed=filters.typed,
        kept={name: value for name, value in filters.typed.items() if value},
        is_sought=bool(filters.rows),
        as_segment=segment_form.conditions_as_query(conditions.rows),
        problems=problems,
        after=after,
        lists=lists,
        states=STATE_LABELS,
        sources=sources,
        most=segment_queries.MAX_CANDIDATES,
    ), 422 if problems else 200


@blueprint.get(ONE)
@open_to(Access.ADMIN)
def show(subscriber_id: int) -> ResponseReturnValue:
    before = request.args.get("before", None, type=int)
    with reading() as session:
        known = profile.get_subscriber(session, subscriber_id)
        life = profile.load_subscriber_profile(session, known)
        mailings = profile.list_mailed_editions(session, known, before=before)
        return render_template(
            "admin/subscribers/show.html",
            life=life,
            mailings=mailings,
            before=before,
            states=STATE_LABELS,
            reasons=segment_form.SUPPRESSION_REASON_LABELS,
            may_lift=manual_suppressions.may_lift_suppression(life.suppression),
            is_paused=preferences.is_paused(known, now=utc_now()),
            reported=send_status.EVENT_LABELS,
            deeds=ACTION_LABELS,
            in_words=describe_detail,
        )


@blueprint.get(f"{ONE}/unsubscribe/<slug>")
@open_to(Access.ADMIN)
def confirm_unsubscribe(subscriber_id: int, slug: str) -> ResponseReturnValue:
    with reading() as session:
        known = profile.get_subscriber(session, subscriber_id)
        return render_template(
            "admin/subscribers/confirm_unsubscribe.html",
            subscriber=known,
            subscription=profile.get_subscription_to_list(session, known, slug),
        )


@blueprint.post(f"{ONE}/unsubscribe/<slug>")
@open_to(Access.ADMIN)
def unsubscribe(subscriber_id: int, slug: str) -> ResponseReturnValue:
    def off(session: Session, now: datetime) -> None:
        known = profile.get_subscriber(session, subscriber_id)
        profile.unsubscribe_as_admin(session, known, slug, by=current_user, now=now)

    return _apply_to_subscriber(
        subscriber_id, off, "Taken off that list. What was mailed before stays on record."
    )


@blueprint.get(f"{ONE}/suppress")
@open_to(Access.ADMIN)
def confirm_suppress(subscriber_id: int) -> ResponseReturnValue:
    return _render_suppress(subscriber_id)


@blueprint.post(f"{ONE}/suppress")
@open_to(Access.ADMIN)
def suppress(subscriber_id: int) -> ResponseReturnValue:
    reason = request.form.get("reason", "")

    def stop(session: Session, now: datetime) -> None:
        known = profile.get_subscriber(session, subscriber_id)
        manual_suppressions.suppress_subscriber_as_admin(
            session, known, reason, by=current_user, now=now
        )

    try:
        return _apply_to_subscriber(
            subscriber_id, stop, "Suppressed. No list mails this address from now on."
        )
    except Invalid as error:
        return _render_suppress(subscriber_id, reason, error.problems), 422


@blueprint.get(f"{ONE}/lift")
@open_to(Access.ADMIN)
def confirm_lift(subscriber_id: int) -> ResponseReturnValue:
    with reading() as session:
        known = profile.get_subscriber(session, subscriber_id)
        standing = session.get(Suppression, known.canonical)
        return render_template(
            "admin/subscribers/confirm_lift.html",
            subscriber=known,
            suppression=standing,
            may_lift=manual_suppressions.may_lift_suppression(standing),
        )


@blueprint.post(f"{ONE}/lift")
@open_to(Access.ADMIN)
def lift(subscriber_id: int) -> ResponseReturnValue:
    def raise_it(session: Session, now: datetime) -> None:
        known = profile.get_subscriber(session, subscriber_id)
        manual_suppressions.lift_subscriber_suppression(session, known, by=current_user, now=now)

    return _apply_to_subscriber(
        subscriber_id, raise_it, "Lifted. The lists that they are on mail them again."
    )


def _apply_to_subscriber(subscriber_id: int, deed: Any, after: str) -> ResponseReturnValue:
    """Do something to a subscriber and say so. Raises NotFound, Invalid."""
    try:
        with transaction() as session:
            deed(session, utc_now())
    except Conflict as error:
        flash(f"{error} Nothing was changed.")
    else:
        flash(after, "good")
    return redirect(url_for(".show", subscriber_id=subscriber_id), 303)


def _render_suppress(
    subscriber_id: int, reason: str = "", problems: dict[str, str] | None = None
) -> str:
    with reading() as session:
        known = profile.get_subscriber(session, subscriber_id)
        return render_template(
            "admin/subscribers/confirm_suppress.html",
            subscriber=known,
            suppression=session.get(Suppression, known.canonical),
            reason=reason,
            problems=problems or {},
            most=manual_suppressions.MAX_REASON_LENGTH,
        )


def _read_filters() -> SubscriberFilters:
    typed = {name: request.args.get(name, "").strip() for name in FILTER_FIELDS}
    state = typed["state"] if typed["state"] in STATE_LABELS else SubscriptionState.CONFIRMED.value
    suppressed = "not_because" if typed["mail"] == "yes" else "because"
    rows = (
        ("part", "address", "contains", typed["part"]),
        ("list", "list", state, typed["list"]),
        ("source", "source", "is", typed["source"]),
        ("from", "joined", "since", typed["from"]),
        ("before", "joined", "before", typed["before"]),
        ("alive", "activity", "since", typed["alive"]),
        ("mail", "suppressed", suppressed, "any" if typed["mail"] else ""),
    )
    return SubscriberFilters(typed, [row for row in rows if row[3]])


def _parse_conditions(filters: SubscriberFilters, context: SegmentContext) -> SegmentConditions:
    """Raises Invalid."""
    conditions = [
        {"field": field, "operator": operator, "value": value}
        for _, field, operator, value in filters.rows
    ]
    return segment_conditions.parse_conditions(
        {"match": "all", "conditions": conditions}, lists=context.list_ids.keys()
    )
