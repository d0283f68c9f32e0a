"""Subscribers: search, profile page, suppression, export of personal data, and erasure."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.accounts.audit_log import record_audit_entry
from nif.clock import utc_now
from nif.errors import Conflict, Invalid
from nif.privacy import erasure, export
from nif.privacy.person import person_of_subscriber
from nif.subscribers import manual_suppressions, profile, segment_queries, segments
from nif.subscribers.segment_queries import (
    SegmentContext,
    SubscriberPage,
    list_consent_sources,
    load_segment_context,
)
from nif.subscribers.segments import SegmentConditions
from nif.subscriptions import preferences
from nif.subscriptions.lists import all_lists
from nif.subscriptions.models import SubscriptionState, Suppression
from nif.web.access import Access, open_to
from nif.web.admin import segment_form, send_status, system_status
from nif.web.admin.audit_log import ACTION_LABELS, describe_detail
from nif.web.current import reading, services, settings, transaction
from nif.web.files import download_response

blueprint = Blueprint("admin_subscribers", __name__, url_prefix="/admin/subscribers")
blueprint.context_processor(system_status.status_banner)

SUBSCRIBER_PATH = f"/<int(max={2**63 - 1}):subscriber_id>"
SubscriberAction = Callable[[Session, datetime], None]
FILTER_FIELDS = ("part", "list", "state", "source", "since", "before", "active_since", "mail")
STATE_LABELS = {
    SubscriptionState.CONFIRMED.value: "Confirmed",
    SubscriptionState.PENDING.value: "Pending",
    SubscriptionState.UNSUBSCRIBED.value: "Unsubscribed",
}


@dataclass(frozen=True)
class SubscriberFilters:
    """The search form as submitted, and its condition rows: form field, field, operator, value."""

    typed: Mapping[str, str]
    rows: Sequence[tuple[str, str, str, str]]

    def problems(self, error: Invalid) -> dict[str, str]:
        """The problems of the rows, by the names of their form fields."""
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
        lists = {mailing_list.slug: mailing_list.title for mailing_list in all_lists(session)}
        sources = list_consent_sources(session)
    return render_template(
        "admin/subscribers/index.html",
        page=page,
        typed=filters.typed,
        used_filters={name: value for name, value in filters.typed.items() if value},
        is_filtered=bool(filters.rows),
        segment_query=segment_form.conditions_as_query(conditions.rows),
        problems=problems,
        after=after,
        lists=lists,
        state_labels=STATE_LABELS,
        sources=sources,
        max_candidates=segment_queries.MAX_CANDIDATES,
    ), 422 if problems else 200


@blueprint.get(SUBSCRIBER_PATH)
@open_to(Access.ADMIN)
def show(subscriber_id: int) -> ResponseReturnValue:
    after = request.args.get("after")
    with reading() as session:
        subscriber = profile.get_subscriber(session, subscriber_id)
        subscriber_profile = profile.load_subscriber_profile(session, subscriber)
        mailings = profile.list_mailed_editions(session, subscriber, after=after)
        return render_template(
            "admin/subscribers/show.html",
            profile=subscriber_profile,
            mailings=mailings,
            after=after,
            state_labels=STATE_LABELS,
            reason_labels=segment_form.SUPPRESSION_REASON_LABELS,
            may_lift=manual_suppressions.may_lift_suppression(subscriber_profile.suppression),
            is_paused=preferences.is_paused(subscriber, now=utc_now()),
            event_labels=send_status.EVENT_LABELS,
            action_labels=ACTION_LABELS,
            describe_detail=describe_detail,
        )


@blueprint.get(f"{SUBSCRIBER_PATH}/unsubscribe/<slug>")
@open_to(Access.ADMIN)
def confirm_unsubscribe(subscriber_id: int, slug: str) -> ResponseReturnValue:
    with reading() as session:
        subscriber = profile.get_subscriber(session, subscriber_id)
        return render_template(
            "admin/subscribers/confirm_unsubscribe.html",
            subscriber=subscriber,
            subscription=profile.get_subscription_to_list(session, subscriber, slug),
        )


@blueprint.post(f"{SUBSCRIBER_PATH}/unsubscribe/<slug>")
@open_to(Access.ADMIN)
def unsubscribe(subscriber_id: int, slug: str) -> ResponseReturnValue:
    def unsubscribe_now(session: Session, now: datetime) -> None:
        subscriber = profile.get_subscriber(session, subscriber_id)
        profile.unsubscribe_as_admin(session, subscriber, slug, by=current_user, now=now)

    return _apply_to_subscriber(
        subscriber_id,
        unsubscribe_now,
        "Unsubscribed from that list. Past deliveries stay on record.",
    )


@blueprint.get(f"{SUBSCRIBER_PATH}/suppress")
@open_to(Access.ADMIN)
def confirm_suppress(subscriber_id: int) -> ResponseReturnValue:
    return _render_suppress(subscriber_id)


@blueprint.post(f"{SUBSCRIBER_PATH}/suppress")
@open_to(Access.ADMIN)
def suppress(subscriber_id: int) -> ResponseReturnValue:
    reason = request.form.get("reason", "")

    def suppress_now(session: Session, now: datetime) -> None:
        subscriber = profile.get_subscriber(session, subscriber_id)
        manual_suppressions.suppress_subscriber_as_admin(
            session, subscriber, reason, by=current_user, now=now
        )

    try:
        return _apply_to_subscriber(
            subscriber_id, suppress_now, "Suppressed. NIF sends no more mail to this address."
        )
    except Invalid as error:
        return _render_suppress(subscriber_id, reason, error.problems), 422


@blueprint.get(f"{SUBSCRIBER_PATH}/lift")
@open_to(Access.ADMIN)
def confirm_lift(subscriber_id: int) -> ResponseReturnValue:
    with reading() as session:
        subscriber = profile.get_subscriber(session, subscriber_id)
        suppression = session.get(Suppression, subscriber.canonical)
        return render_template(
            "admin/subscribers/confirm_lift.html",
            subscriber=subscriber,
            suppression=suppression,
            may_lift=manual_suppressions.may_lift_suppression(suppression),
        )


@blueprint.post(f"{SUBSCRIBER_PATH}/lift")
@open_to(Access.ADMIN)
def lift(subscriber_id: int) -> ResponseReturnValue:
    def lift_now(session: Session, now: datetime) -> None:
        subscriber = profile.get_subscriber(session, subscriber_id)
        manual_suppressions.lift_subscriber_suppression(
            session, subscriber, by=current_user, now=now
        )

    return _apply_to_subscriber(
        subscriber_id, lift_now, "Lifted. The subscriber receives their lists again."
    )


@blueprint.get(f"{SUBSCRIBER_PATH}/data.json")
@open_to(Access.ADMIN)
def download_data(subscriber_id: int) -> ResponseReturnValue:
    with reading() as session:
        subscriber = profile.get_subscriber(session, subscriber_id)
        data = export.export_person(session, person_of_subscriber(subscriber), now=utc_now())
    return download_response(json.dumps(data, indent=2), f"subscriber-{subscriber_id}.json")


@blueprint.get(f"{SUBSCRIBER_PATH}/erase")
@open_to(Access.ADMIN)
def confirm_erase(subscriber_id: int) -> ResponseReturnValue:
    with reading() as session:
        subscriber = profile.get_subscriber(session, subscriber_id)
    return render_template("admin/subscribers/confirm_erase.html", subscriber=subscriber)


@blueprint.post(f"{SUBSCRIBER_PATH}/erase")
@open_to(Access.ADMIN)
def erase(subscriber_id: int) -> ResponseReturnValue:
    folder, now = services().settings.imports, utc_now()
    with transaction() as session:
        person = person_of_subscriber(profile.get_subscriber(session, subscriber_id))
        erasure.erase_person(session, person, folder, source="an admin", now=now)
        subject_id = str(person.id)
        record_audit_entry(
            session, current_user, "subscriber_erased", "subscriber", subject_id, now=now
        )
    services().database.truncate_wal()
    flash("Erased. No list, form or import can add this address again.", "good")
    return redirect(url_for("admin_subscribers.index"), 303)


def _apply_to_subscriber(
    subscriber_id: int, action: SubscriberAction, success: str
) -> ResponseReturnValue:
    """Apply an action to a subscriber and flash the result. Raises NotFound, Invalid.

    A Conflict is flashed as a refusal.
    """
    try:
        with transaction() as session:
            action(session, utc_now())
    except Conflict as error:
        flash(f"{error} Nothing was changed.")
    else:
        flash(success, "good")
    return redirect(url_for(".show", subscriber_id=subscriber_id), 303)


def _render_suppress(
    subscriber_id: int, reason: str = "", problems: dict[str, str] | None = None
) -> str:
    with reading() as session:
        subscriber = profile.get_subscriber(session, subscriber_id)
        return render_template(
            "admin/subscribers/confirm_suppress.html",
            subscriber=subscriber,
            suppression=session.get(Suppression, subscriber.canonical),
            reason=reason,
            problems=problems or {},
            max_length=manual_suppressions.MAX_REASON_LENGTH,
        )


def _read_filters() -> SubscriberFilters:
    typed = {name: request.args.get(name, "").strip() for name in FILTER_FIELDS}
    state = typed["state"] if typed["state"] in STATE_LABELS else SubscriptionState.CONFIRMED.value
    suppressed = "not_because" if typed["mail"] == "yes" else "because"
    rows = (
        ("part", "address", "contains", typed["part"]),
        ("list", "list", state, typed["list"]),
        ("source", "source", "is", typed["source"]),
        ("since", "joined", "since", typed["since"]),
        ("before", "joined", "before", typed["before"]),
        ("active_since", "activity", "since", typed["active_since"]),
        ("mail", "suppressed", suppressed, "any" if typed["mail"] else ""),
    )
    return SubscriberFilters(typed, [row for row in rows if row[3]])


def _parse_conditions(filters: SubscriberFilters, context: SegmentContext) -> SegmentConditions:
    """The conditions of the filters. Raises Invalid."""
    conditions = [
        {"field": field, "operator": operator, "value": value}
        for _, field, operator, value in filters.rows
    ]
    return segments.parse_conditions(
        {"match": "all", "conditions": conditions}, lists=context.lists
    )
