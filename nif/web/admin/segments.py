"""Segments: conditions that are saved, the form that builds them, and who is in one."""

from collections.abc import Mapping

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.audience import asking, counting, finding, segmenting
from nif.audience.compiling import Ground, survey
from nif.audience.finding import Page
from nif.audience.sources import known_sources
from nif.clock import utc_now
from nif.errors import Invalid
from nif.subscriptions.reading import all_lists
from nif.web.access import Access, open_to
from nif.web.admin import condition_form, house
from nif.web.admin.condition_form import ADD, ConditionForm, Row
from nif.web.current import reading, settings, transaction

blueprint = Blueprint("admin_segments", __name__, url_prefix="/admin/segments")
blueprint.context_processor(house.banner)

ONE = f"/<int(max={2**63 - 1}):segment_id>"


@blueprint.get("")
@open_to(Access.ADMIN)
def everything() -> ResponseReturnValue:
    with reading() as session:
        return render_template(
            "admin/segments/everything.html", segments=segmenting.all_segments(session)
        )


@blueprint.get("/new")
@open_to(Access.ADMIN)
def begin() -> ResponseReturnValue:
    form = condition_form.read(request.args)
    return _form(form if form.rows else _longer(form))


@blueprint.post("/new")
@open_to(Access.ADMIN)
def create() -> ResponseReturnValue:
    return _save(None)


@blueprint.get(f"{ONE}/edit")
@open_to(Access.ADMIN)
def edit(segment_id: int) -> ResponseReturnValue:
    with reading() as session:
        segment = segmenting.get_segment(session, segment_id)
    return _form(condition_form.filled(segment.name, segment.conditions), segment_id=segment_id)


@blueprint.post(f"{ONE}/edit")
@open_to(Access.ADMIN)
def change(segment_id: int) -> ResponseReturnValue:
    return _save(segment_id)


@blueprint.get(ONE)
@open_to(Access.ADMIN)
def one(segment_id: int) -> ResponseReturnValue:
    after = request.args.get("after") or None
    with reading() as session:
        segment = segmenting.get_segment(session, segment_id)
        ground = _ground(session)
        try:
            asked = segmenting.conditions_of(segment, ground)
            said = condition_form.in_words(asked, _titles(session))
            page, trouble = finding.find(session, asked, ground, after=after), None
        except Invalid as error:
            page, said, trouble = Page([], None), [], str(error)
    return render_template(
        "admin/segments/one.html",
        segment=segment,
        said=said,
        page=page,
        after=after,
        trouble=trouble,
        most=finding.LOOK,
    )


@blueprint.post(f"{ONE}/count")
@open_to(Access.ADMIN)
def count(segment_id: int) -> ResponseReturnValue:
    try:
        with reading() as session:
            # Counted outside of the transaction that keeps the figure: no writer waits for it.
            segment = segmenting.get_segment(session, segment_id)
            size, now = segmenting.count(session, segment, _ground(session)), utc_now()
    except Invalid as error:
        flash(f"{error} Change the segment first.")
    else:
        with transaction() as session:
            kept = segmenting.get_segment(session, segment_id)
            segmenting.keep_size(kept, segment.conditions, size, now=now)
        flash("Counted again.", "good")
    return redirect(url_for(".one", segment_id=segment_id), 303)


@blueprint.post(f"{ONE}/drop")
@open_to(Access.ADMIN)
def drop(segment_id: int) -> ResponseReturnValue:
    with transaction() as session:
        segment = segmenting.get_segment(session, segment_id)
        name = segment.name
        segmenting.drop(session, segment, by=current_user, now=utc_now())
    flash(f"The segment {name} is gone. Nobody who was in it is touched.", "good")
    return redirect(url_for(".everything"), 303)


def _save(segment_id: int | None) -> ResponseReturnValue:
    form = condition_form.read(request.form)
    if request.form.get("do") == ADD:
        return _form(_longer(form), segment_id=segment_id)
    try:
        with reading() as session:
            ground = _ground(session)
            asked = asking.parse(form.as_data(), lists=ground.lists.keys())
            segmenting.check(session, segment_id, form.name, asked)
            size = counting.size(session, asked, ground)
        with transaction() as session:
            known = segmenting.get_segment(session, segment_id) if segment_id else None
            draft = segmenting.Draft(form.name, asked, size)
            saved = segmenting.save(session, known, draft, by=current_user, now=utc_now())
            saved_id = saved.id
    except Invalid as error:
        return _form(form, error.problems, segment_id=segment_id), 422
    flash("The segment is saved, and counted.", "good")
    return redirect(url_for(".one", segment_id=saved_id), 303)


def _longer(form: ConditionForm) -> ConditionForm:
    rows = (*form.rows, Row()) if form.may_grow else form.rows
    return ConditionForm(form.name, form.match, rows)


def _form(
    form: ConditionForm,
    problems: Mapping[str, str] | None = None,
    *,
    segment_id: int | None = None,
) -> str:
    with reading() as session:
        return render_template(
            "admin/segments/form.html",
            form=form,
            problems=problems or {},
            segment_id=segment_id,
            words=condition_form.WORDS,
            lists=_titles(session),
            sources=known_sources(session),
            reasons=condition_form.REASONS,
        )


def _ground(session: Session) -> Ground:
    return survey(session, settings().time_zone)


def _titles(session: Session) -> dict[str, str]:
    return {one.slug: one.title for one in all_lists(session)}
