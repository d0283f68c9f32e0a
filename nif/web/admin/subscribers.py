"""Subscribers: search, profile page, suppression, export of personal data, and erasure."""

import json
from collections.abc import Sequence

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.errors import Invalid
from nif.privacy.data_map import erase_person, export_person, person_of_subscriber
from nif.subscribers import profile, segment_queries, segments, suppressions
from nif.subscribers.segments import SegmentConditions
from nif.subscriptions import preferences
from nif.subscriptions.lists import all_lists
from nif.subscriptions.models import SubscriptionState, Suppression
from nif.web.access import Access, page_view
from nif.web.admin import send_status
from nif.web.admin.audit_log import ACTION_LABELS, describe_detail
from nif.web.admin.segments import SUPPRESSION_REASON_LABELS, row_fields
from nif.web.current import end_login_reading, services, settings
from nif.web.files import download_response
from nif.web.forms import Choice, Day, Form, Line
from nif.web.staff_actions import StaffAction, staff_action

blueprint = Blueprint("admin_subscribers", __name__, url_prefix="/admin/subscribers")

STATE_LABELS = {"confirmed": "Confirmed", "pending": "Pending", "unsubscribed": "Unsubscribed"}


class SubscriberSearchForm(Form):
    part = Line("Part of an address, at least three characters")
    list = Choice("List", empty="Any list or none")
    state = Choice("State on that list", STATE_LABELS, default=SubscriptionState.CONFIRMED.value)
    since = Day("Subscriber since or after")
    before = Day("Subscriber since before")
    source = Choice("Consent source", empty="Any source")
    mail = Choice("Suppressed", {"no": "Suppressed", "yes": "Not suppressed"}, empty="Any")
    active_since = Day("Last activity on or after")

    @property
    def rows(self) -> Sequence[tuple[str, str, str, str]]:
        """The conditions as rows of the form's field, the field, the operator and the value."""
        state = self.state.data if self.state.data in STATE_LABELS else self.state.default
        suppressed = "not_because" if self.mail.data == "yes" else "because"
        rows = (
            ("part", "address", "contains", self.part.data),
            ("list", "list", state, self.list.data),
            ("source", "source", "is", self.source.data),
            ("since", "joined", "since", self.since.data),
            ("before", "joined", "before", self.before.data),
            ("active_since", "activity", "since", self.active_since.data),
            ("mail", "suppressed", suppressed, self.mail.data and "any"),
        )
        return [row for row in rows if row[3]]

    def conditions(self, context: segment_queries.SegmentContext) -> SegmentConditions:
        """Raises Invalid, by the names of this form's fields."""
        rows = [{"field": row[1], "operator": row[2], "value": row[3]} for row in self.rows]
        data = {"match": "all", "conditions": rows}
        try:
            return segments.parse_conditions(data, lists=context.lists)
        except Invalid as error:
            names = {f"value-{n}": row[0] for n, row in enumerate(self.rows)}
            problems = {names.get(name, name): text for name, text in error.problems.items()}
            raise Invalid(problems) from None


class SubscriberSuppressionForm(Form):
    reason = Line("Reason", most=suppressions.MAX_REASON_LENGTH)


@page_view(blueprint, Access.ADMIN, "")
def index(session: Session) -> ResponseReturnValue:
    form, after = SubscriberSearchForm(request.args), request.args.get("after")
    conditions, page = SegmentConditions(), segment_queries.SubscriberPage([], None)
    form.list.labels = {one.slug: one.title for one in all_lists(session)}
    form.source.labels = {
        source: source for source in segment_queries.list_consent_sources(session)
    }
    context = segment_queries.load_segment_context(session, settings().time_zone)
    try:
        conditions = form.conditions(context)
        page = segment_queries.search_subscribers(session, conditions, context, after=after)
    except Invalid as error:
        form.refuse(error)
    return render_template(
        "admin/subscribers/index.html",
        form=form,
        page=page,
        is_filtered=bool(form.rows),
        segment_fields=row_fields(conditions.as_data()["conditions"]),
        after=after,
        max_candidates=segment_queries.MAX_CANDIDATES,
    ), 422 if form.problems else 200


@page_view(blueprint, Access.ADMIN, "/<id:subscriber_id>")
def show(session: Session, subscriber_id: int) -> str:
    after = request.args.get("after")
    subscriber = profile.get_subscriber(session, subscriber_id)
    subscriber_profile = profile.load_subscriber_profile(session, subscriber)
    return render_template(
        "admin/subscribers/show.html",
        profile=subscriber_profile,
        mailings=profile.list_mailed_editions(session, subscriber, after=after),
        after=after,
        state_labels=STATE_LABELS,
        reason_labels=SUPPRESSION_REASON_LABELS,
        may_lift=suppressions.may_lift_suppression(subscriber_profile.suppression),
        is_paused=preferences.is_paused(subscriber, now=utc_now()),
        event_labels=send_status.EVENT_LABELS,
        action_labels=ACTION_LABELS,
        describe_detail=describe_detail,
    )


@page_view(blueprint, Access.ADMIN, "/<id:subscriber_id>/unsubscribe/<slug>")
def confirm_unsubscribe(session: Session, subscriber_id: int, slug: str) -> str:
    subscriber = profile.get_subscriber(session, subscriber_id)
    return render_template(
        "admin/subscribers/confirm_unsubscribe.html",
        subscriber=subscriber,
        subscription=profile.get_subscription_to_list(session, subscriber, slug),
    )


@blueprint.post("/<id:subscriber_id>/unsubscribe/<slug>")
@staff_action(Access.ADMIN, refused_to=".show")
def unsubscribe(action: StaffAction, subscriber_id: int, slug: str) -> ResponseReturnValue:
    subscriber = profile.get_subscriber(action.session, subscriber_id)
    profile.unsubscribe_as_admin(action.session, subscriber, slug, by=current_user, now=action.now)
    sentence = "Unsubscribed from that list. Past deliveries stay on record."
    return action.done(sentence, url_for(".show", subscriber_id=subscriber_id))


@page_view(blueprint, Access.ADMIN, "/<id:subscriber_id>/suppress")
def confirm_suppress(
    session: Session, subscriber_id: int, form: SubscriberSuppressionForm | None = None
) -> str:
    subscriber = profile.get_subscriber(session, subscriber_id)
    return render_template(
        "admin/subscribers/confirm_suppress.html",
        subscriber=subscriber,
        suppression=session.get(Suppression, subscriber.canonical),
        form=form or SubscriberSuppressionForm(),
    )


@blueprint.post("/<id:subscriber_id>/suppress")
@staff_action(Access.ADMIN, SubscriberSuppressionForm, page=confirm_suppress, refused_to=".show")
def suppress(
    action: StaffAction, form: SubscriberSuppressionForm, subscriber_id: int
) -> ResponseReturnValue:
    subscriber = profile.get_subscriber(action.session, subscriber_id)
    suppressions.suppress_subscriber_as_admin(
        action.session, subscriber, form.reason.data, by=current_user, now=action.now
    )
    sentence = "Suppressed. NIF sends no more mail to this address."
    return action.done(sentence, url_for(".show", subscriber_id=subscriber_id))


@page_view(blueprint, Access.ADMIN, "/<id:subscriber_id>/lift")
def confirm_lift(session: Session, subscriber_id: int) -> str:
    subscriber = profile.get_subscriber(session, subscriber_id)
    suppression = session.get(Suppression, subscriber.canonical)
    return render_template(
        "admin/subscribers/confirm_lift.html",
        subscriber=subscriber,
        suppression=suppression,
        may_lift=suppressions.may_lift_suppression(suppression),
    )


@blueprint.post("/<id:subscriber_id>/lift")
@staff_action(Access.ADMIN, refused_to=".show")
def lift(action: StaffAction, subscriber_id: int) -> ResponseReturnValue:
    subscriber = profile.get_subscriber(action.session, subscriber_id)
    suppressions.lift_subscriber_suppression(
        action.session, subscriber, by=current_user, now=action.now
    )
    sentence = "Lifted. The subscriber receives their lists again."
    return action.done(sentence, url_for(".show", subscriber_id=subscriber_id))


@page_view(blueprint, Access.ADMIN, "/<id:subscriber_id>/data.json")
def download_data(session: Session, subscriber_id: int) -> ResponseReturnValue:
    subscriber = profile.get_subscriber(session, subscriber_id)
    data = export_person(session, person_of_subscriber(subscriber), now=utc_now())
    return download_response(json.dumps(data, indent=2), f"subscriber-{subscriber_id}.json")


@page_view(blueprint, Access.ADMIN, "/<id:subscriber_id>/erase")
def confirm_erase(session: Session, subscriber_id: int) -> str:
    subscriber = profile.get_subscriber(session, subscriber_id)
    return render_template("admin/subscribers/confirm_erase.html", subscriber=subscriber)


@blueprint.post("/<id:subscriber_id>/erase")
@staff_action(Access.ADMIN)
def erase(action: StaffAction, subscriber_id: int) -> ResponseReturnValue:
    person = person_of_subscriber(profile.get_subscriber(action.session, subscriber_id))
    folder = services().settings.imports
    erase_person(action.session, person, folder, source="an admin", now=action.now)
    action.audit("subscriber_erased", "subscriber", person.id)
    action.after_commit(end_login_reading)
    action.after_commit(services().database.truncate_wal)
    sentence = "Erased. No list, form or import can add this address again."
    return action.done(sentence, url_for(".index"))
