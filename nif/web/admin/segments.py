"""Segments: saved conditions, their form, and the subscribers that match."""

from collections.abc import Mapping

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.errors import Invalid
from nif.subscribers import segment_queries, segments
from nif.subscribers.segment_queries import (
    SegmentContext,
    SubscriberPage,
    list_consent_sources,
    load_segment_context,
)
from nif.subscriptions.lists import all_lists
from nif.web.access import Access, open_to
from nif.web.admin import segment_form, system_status
from nif.web.admin.segment_form import ADD_CONDITION, ConditionRow, SegmentForm
from nif.web.current import reading, settings, transaction

blueprint = Blueprint("admin_segments", __name__, url_prefix="/admin/segments")
blueprint.context_processor(system_status.status_banner)

SEGMENT_PATH = f"/<int(max={2**63 - 1}):segment_id>"


@blueprint.get("")
@open_to(Access.ADMIN)
def index() -> ResponseReturnValue:
    with reading() as session:
        return render_template(
            "admin/segments/index.html", segments=segments.list_segments(session)
        )


@blueprint.get("/new")
@open_to(Access.ADMIN)
def new() -> ResponseReturnValue:
    form = segment_form.read_segment_form(request.args)
    return _render_form(form if form.rows else _add_row(form))


@blueprint.post("/new")
@open_to(Access.ADMIN)
def create() -> ResponseReturnValue:
    return _save_segment(None)


@blueprint.get(f"{SEGMENT_PATH}/edit")
@open_to(Access.ADMIN)
def edit(segment_id: int) -> ResponseReturnValue:
    with reading() as session:
        segment = segments.get_segment(session, segment_id)
    return _render_form(
        segment_form.segment_form_of(segment.name, segment.conditions), segment_id=segment_id
    )


@blueprint.post(f"{SEGMENT_PATH}/edit")
@open_to(Access.ADMIN)
def update(segment_id: int) -> ResponseReturnValue:
    return _save_segment(segment_id)


@blueprint.get(SEGMENT_PATH)
@open_to(Access.ADMIN)
def show(segment_id: int) -> ResponseReturnValue:
    after = request.args.get("after") or None
    with reading() as session:
        segment = segments.get_segment(session, segment_id)
        context = _query_context(session)
        try:
            conditions = segments.parse_conditions(segment.conditions, lists=context.lists)
            descriptions = segment_form.describe_conditions(conditions, _list_titles(session))
            page, problem = (
                segment_queries.search_subscribers(session, conditions, context, after=after),
                None,
            )
        except Invalid as error:
            page, descriptions, problem = SubscriberPage([], None), [], str(error)
    return render_template(
        "admin/segments/show.html",
        segment=segment,
        descriptions=descriptions,
        page=page,
        after=after,
        problem=problem,
        max_candidates=segment_queries.MAX_CANDIDATES,
    )


@blueprint.post(f"{SEGMENT_PATH}/count")
@open_to(Access.ADMIN)
def recount(segment_id: int) -> ResponseReturnValue:
    try:
        with reading() as session:
            # Counting is slow, so it happens before the write transaction: no writer waits for it.
            segment = segments.get_segment(session, segment_id)
            context = _query_context(session)
            conditions = segments.parse_conditions(segment.conditions, lists=context.lists)
            size = segment_queries.count_matching(session, conditions, context)
            now = utc_now()
    except Invalid as error:
        flash(f"{error} Edit the segment first.")
    else:
        with transaction() as session:
            current = segments.get_segment(session, segment_id)
            segments.store_segment_size(current, segment.conditions, size, now=now)
        flash("Counted again.", "good")
    return redirect(url_for(".show", segment_id=segment_id), 303)


@blueprint.post(f"{SEGMENT_PATH}/delete")
@open_to(Access.ADMIN)
def delete(segment_id: int) -> ResponseReturnValue:
    with transaction() as session:
        segment = segments.get_segment(session, segment_id)
        name = segment.name
        segments.delete_segment(session, segment, by=current_user, now=utc_now())
    flash(f"The segment {name} is deleted. Its subscribers are not affected.", "good")
    return redirect(url_for(".index"), 303)


def _save_segment(segment_id: int | None) -> ResponseReturnValue:
    form = segment_form.read_segment_form(request.form)
    if request.form.get("do") == ADD_CONDITION:
        return _render_form(_add_row(form), segment_id=segment_id)
    try:
        with reading() as session:
            context = _query_context(session)
            conditions = segments.parse_conditions(form.as_data(), lists=context.lists)
            segments.check_segment(session, segment_id, form.name, conditions)
            size = segment_queries.count_matching(session, conditions, context)
        with transaction() as session:
            existing = segments.get_segment(session, segment_id) if segment_id else None
            draft = segments.SegmentDraft(form.name, conditions, size)
            saved = segments.save_segment(session, existing, draft, by=current_user, now=utc_now())
            saved_id = saved.id
    except Invalid as error:
        return _render_form(form, error.problems, segment_id=segment_id), 422
    flash("The segment is saved and counted.", "good")
    return redirect(url_for(".show", segment_id=saved_id), 303)


def _add_row(form: SegmentForm) -> SegmentForm:
    rows = (*form.rows, ConditionRow()) if form.may_grow else form.rows
    return SegmentForm(form.name, form.match, rows)


def _render_form(
    form: SegmentForm, problems: Mapping[str, str] | None = None, *, segment_id: int | None = None
) -> str:
    with reading() as session:
        return render_template(
            "admin/segments/form.html",
            form=form,
            problems=problems or {},
            segment_id=segment_id,
            condition_labels=segment_form.CONDITION_LABELS,
            lists=_list_titles(session),
            sources=list_consent_sources(session),
            reason_labels=segment_form.SUPPRESSION_REASON_LABELS,
        )


def _query_context(session: Session) -> SegmentContext:
    return load_segment_context(session, settings().time_zone)


def _list_titles(session: Session) -> dict[str, str]:
    return {mailing_list.slug: mailing_list.title for mailing_list in all_lists(session)}
