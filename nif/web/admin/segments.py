"""Segments: saved conditions, their form, and the subscribers that match."""

from collections.abc import Iterable, Mapping
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.errors import Conflict, Invalid
from nif.subscribers import segment_queries, segments
from nif.subscriptions.lists import all_lists
from nif.web.access import Access, page_view
from nif.web.current import reading, settings
from nif.web.forms import Choice, Form, Hidden, Line
from nif.web.staff_actions import StaffAction, staff_action

blueprint = Blueprint("admin_segments", __name__, url_prefix="/admin/segments")

CONDITIONS = {
    f"{field}.{operator}": definition
    for (field, operator), definition in segments.CONDITION_CATALOGUE.items()
}
"""The options of a row: "field.operator"."""

SUPPRESSION_REASON_LABELS = {
    "any": "(any)",
    "bounced": "the address bounced",
    "complained": "marked as spam",
    "unsubscribed": "unsubscribed through SendGrid",
    "invalid": "the address is invalid",
    "manual": "manual",
}


class SegmentForm(Form):
    """Its rows `what-0` and `value-0` to `what-9` and `value-9`, without gaps; some are shown."""

    name = Line("Name", most=segments.MAX_NAME_LENGTH)
    match = Choice(
        "Matches",
        {"all": "All of these conditions", "any": "Any of these conditions"},
        default="all",
    )
    do = Hidden()

    def __init__(self, *given: Any, **fields: Any) -> None:
        super().__init__(*given, **fields)
        typed = [
            (self[f"what-{n}"].data, self[f"value-{n}"].data)
            for n in range(segments.MAX_CONDITIONS)
        ]
        rows = [row for row in typed if row[0]]
        self.shown = len(rows)
        for n, row in enumerate(rows + [(None, "")] * (segments.MAX_CONDITIONS - len(rows))):
            self[f"what-{n}"].data, self[f"value-{n}"].data = row

    @property
    def rows(self) -> list[tuple[Choice, Line, str]]:
        """The fields of the rows to show, and the kind of their value; empty without one."""
        rows = [(self[f"what-{n}"], self[f"value-{n}"]) for n in range(self.shown)]
        kinds = {name: definition.value_kind.value for name, definition in CONDITIONS.items()}
        return [(what, value, kinds.get(what.data, "")) for what, value in rows]

    @property
    def may_grow(self) -> bool:
        return self.shown < segments.MAX_CONDITIONS

    def add_row(self) -> "SegmentForm":
        self.shown += self.may_grow
        return self

    def conditions(self, context: segment_queries.SegmentContext) -> segments.SegmentConditions:
        """Raises Invalid."""
        rows = [(what.data.partition("."), value.data) for what, value, _ in self.rows]
        conditions = [
            {"field": what[0], "operator": what[2], "value": value} for what, value in rows
        ]
        data = {"match": self.match.data, "conditions": conditions}
        return segments.parse_conditions(data, lists=context.lists)


for number in range(segments.MAX_CONDITIONS):
    labels = {what: definition.label for what, definition in CONDITIONS.items()}
    setattr(SegmentForm, f"what-{number}", Choice("Condition", labels, empty="No condition"))
    setattr(SegmentForm, f"value-{number}", Line())


def row_fields(conditions: Iterable[Mapping[str, str]]) -> dict[str, str]:
    fields = {}
    for n, row in enumerate(conditions):
        fields[f"what-{n}"] = f"{row['field']}.{row['operator']}"
        fields[f"value-{n}"] = row["value"]
    return fields


def describe_conditions(
    conditions: segments.SegmentConditions, titles: Mapping[str, str]
) -> list[str]:
    """A sentence for each condition, such as "Is confirmed on the list NIF Daily"."""
    words: dict[segments.ConditionValueKind, Mapping[str, str]] = {
        segments.ConditionValueKind.LIST: titles,
        segments.ConditionValueKind.REASON: SUPPRESSION_REASON_LABELS,
    }
    known = [words.get(row.definition.value_kind, {}) for row in conditions.rows]
    return [
        f"{row.definition.label} {labels.get(row.value, row.value)}"
        for row, labels in zip(conditions.rows, known, strict=True)
    ]


@page_view(blueprint, Access.ADMIN, "")
def index(session: Session) -> str:
    return render_template("admin/segments/index.html", segments=segments.list_segments(session))


@page_view(blueprint, Access.ADMIN, "/new", "/<id:segment_id>/edit")
def edit(session: Session, segment_id: int | None = None, form: SegmentForm | None = None) -> str:
    if form is None and segment_id:
        segment = segments.get_segment(session, segment_id)
        data = {"name": segment.name, "match": segment.conditions["match"]}
        form = SegmentForm(data=data | row_fields(segment.conditions["conditions"]))
    elif form is None:
        form = SegmentForm(request.args)
        form = form if form.shown else form.add_row()
    return render_template(
        "admin/segments/form.html",
        form=form,
        segment_id=segment_id,
        lists=_list_titles(session),
        sources=segment_queries.list_consent_sources(session),
        reason_labels=SUPPRESSION_REASON_LABELS,
    )


@blueprint.post("/new")
@blueprint.post("/<id:segment_id>/edit")
@staff_action(Access.ADMIN, SegmentForm, page=edit)
def save(
    action: StaffAction, form: SegmentForm, segment_id: int | None = None
) -> ResponseReturnValue:
    """Save and count, or with the button “add” only show the form with one more row."""
    if form.do.data == "add":
        return edit(segment_id, form.add_row())
    with reading() as session:
        # Counting is slow, so it happens before the write transaction: no writer waits for it.
        context = _query_context(session)
        conditions = form.conditions(context)
        segments.check_segment(session, segment_id, form.name.data, conditions)
        size = segment_queries.count_matching(session, conditions, context)
    existing = segments.get_segment(action.session, segment_id) if segment_id else None
    draft = segments.SegmentDraft(form.name.data, conditions, size)
    saved = segments.save_segment(action.session, existing, draft, by=current_user, now=action.now)
    address = url_for(".show", segment_id=saved.id)
    return action.done("The segment is saved and counted.", address)


@page_view(blueprint, Access.ADMIN, "/<id:segment_id>")
def show(session: Session, segment_id: int) -> str:
    after = request.args.get("after")
    descriptions, page, problem = list[str](), segment_queries.SubscriberPage([], None), None
    segment = segments.get_segment(session, segment_id)
    context = _query_context(session)
    try:
        conditions = segments.parse_conditions(segment.conditions, lists=context.lists)
        descriptions = describe_conditions(conditions, _list_titles(session))
        page = segment_queries.search_subscribers(session, conditions, context, after=after)
    except Invalid as error:
        problem = str(error)
    return render_template(
        "admin/segments/show.html",
        segment=segment,
        descriptions=descriptions,
        page=page,
        after=after,
        problem=problem,
        max_candidates=segment_queries.MAX_CANDIDATES,
    )


@blueprint.post("/<id:segment_id>/count")
@staff_action(Access.ADMIN, refused_to=".show")
def recount(action: StaffAction, segment_id: int) -> ResponseReturnValue:
    with reading() as session:
        segment = segments.get_segment(session, segment_id)
        context = _query_context(session)
        try:
            conditions = segments.parse_conditions(segment.conditions, lists=context.lists)
        except Invalid as error:
            raise Conflict(f"{error} Edit the segment first.") from None
        size = segment_queries.count_matching(session, conditions, context)
    current = segments.get_segment(action.session, segment_id)
    segments.store_segment_size(current, segment.conditions, size, now=action.now)
    return action.done("Counted again.", url_for(".show", segment_id=segment_id))


@blueprint.post("/<id:segment_id>/delete")
@staff_action(Access.ADMIN)
def delete(action: StaffAction, segment_id: int) -> ResponseReturnValue:
    segment = segments.get_segment(action.session, segment_id)
    sentence = f"The segment {segment.name} is deleted. Its subscribers are not affected."
    segments.delete_segment(action.session, segment, by=current_user, now=action.now)
    return action.done(sentence, url_for(".index"))


def _query_context(session: Session) -> segment_queries.SegmentContext:
    return segment_queries.load_segment_context(session, settings().time_zone)


def _list_titles(session: Session) -> dict[str, str]:
    return {mailing_list.slug: mailing_list.title for mailing_list in all_lists(session)}
