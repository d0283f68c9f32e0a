"""Mailing lists: overview, page of a list, its settings, embed code, archiving and deletion."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.accounts.audit_log import describe_change, record_audit_entry
from nif.clock import utc_now
from nif.editions.archive import list_recent_editions
from nif.editions.digest import ComposedDigest, compose_digest, next_slot_of_list
from nif.editions.models import DIGEST_OCCASION, Edition
from nif.editions.schedule import Slot
from nif.errors import Conflict, Invalid
from nif.sends.certificates import count_deliveries
from nif.sends.reports import list_sends, list_sends_needing_attention, list_unfinished_sends
from nif.stories.publishing import invalidate_pages
from nif.stories.tags import list_most_used_tags, tag_names_of
from nif.subscriptions.lists import (
    LANGUAGES,
    all_lists,
    archive_list,
    create_list,
    delete_list,
    get_list,
    references_to_list,
    unarchive_list,
    update_list,
)
from nif.subscriptions.models import MailingList
from nif.tokens import TokenPurpose
from nif.web.access import Access, open_to
from nif.web.admin import next_digest, send_status, system_status
from nif.web.admin.list_form import (
    FREQUENCIES,
    ListForm,
    differing_fields,
    list_form_of,
    read_list_form,
    read_list_settings,
    read_version,
    time_zone_names,
)
from nif.web.admin.sends import send_rows
from nif.web.current import links, reading, services, settings, tokens, transaction

blueprint = Blueprint("admin_lists", __name__, url_prefix="/admin")
blueprint.context_processor(system_status.status_banner)
blueprint.register_blueprint(system_status.blueprint)
blueprint.register_blueprint(next_digest.blueprint)

SENDS_SHOWN_PER_LIST = 3
HISTORY_LABELS = {
    "subscription": "current and former subscribers",
    "consent": "records of consent",
    "edition": "editions",
    "import_run": "imports",
    "daily_list_count": "daily statistics",
}
"""Labels of the tables that may refer to a list; others are called "other records"."""

FRAME_HEIGHT = 440
"""Height in pixels that the form needs in a column of 280 pixels. The frame has no border, so
unused height is invisible."""

ListAction = Callable[[Session, MailingList, datetime], None]


@blueprint.get("/")
@open_to(Access.ADMIN)
def index() -> ResponseReturnValue:
    now = utc_now()
    with reading() as session:
        needing_attention = send_rows(session, list_sends_needing_attention(session))
        mailing_lists = all_lists(session)
        last_sends = [
            list_sends(session, mailing_list.id, most=SENDS_SHOWN_PER_LIST)
            for mailing_list in mailing_lists
        ]
        rows = {
            row.send.id: row
            for row in send_rows(session, [send for sends in last_sends for send in sends])
        }
        lists = [
            (
                mailing_list,
                _next_slot(session, mailing_list, now),
                [rows[send.id] for send in sends],
            )
            for mailing_list, sends in zip(mailing_lists, last_sends, strict=True)
        ]
        warnings = system_status.find_system_warnings(session, now=now)
    return render_template(
        "admin/lists/index.html",
        needing_attention=needing_attention,
        lists=lists,
        warnings=warnings,
    )


@blueprint.get("/lists/<slug>")
@open_to(Access.ADMIN)
def show(slug: str) -> ResponseReturnValue:
    now = utc_now()
    with reading() as session:
        mailing_list = get_list(session, slug)
        next_slot = _next_slot(session, mailing_list, now)
        digest = _next_digest(session, mailing_list, next_slot, now)
        sends = {
            row.send.edition_id: row
            for row in send_rows(session, list_sends(session, mailing_list.id))
        }
        editions = list_recent_editions(session, mailing_list)
        topics = list(tag_names_of(session, mailing_list.tags).values())
    return render_template(
        "admin/lists/show.html",
        mailing_list=mailing_list,
        next_slot=next_slot,
        digest=digest,
        editions=editions,
        sends=sends,
        slot_labels=send_status.SLOT_LABELS,
        topics=topics,
        languages=LANGUAGES,
    )


@blueprint.get("/lists/new")
@open_to(Access.ADMIN)
def new() -> ResponseReturnValue:
    return _render_new(ListForm(zone=settings().time_zone, is_shown="1"))


@blueprint.post("/lists/new")
@open_to(Access.ADMIN)
def create() -> ResponseReturnValue:
    form = read_list_form(request.form)
    try:
        with transaction() as session:
            now = utc_now()
            slug = create_list(session, read_list_settings(session, form), now=now).slug
            _record_list_action(session, "list_created", slug, now, {"title": form.title})
            invalidate_pages(session)
    except Invalid as error:
        return _render_new(form, error.problems), 422
    except Conflict as error:
        return _render_new(form, {"slug": f"{error} Choose another slug."}), 422
    flash("The list is created. People can subscribe to it now.", "good")
    return redirect(url_for("admin_lists.show", slug=slug), 303)


@blueprint.get("/lists/<slug>/edit")
@open_to(Access.ADMIN)
def edit(slug: str) -> ResponseReturnValue:
    with reading() as session:
        form = list_form_of(session, get_list(session, slug))
    return _render_edit(slug, form)


@blueprint.post("/lists/<slug>/edit")
@open_to(Access.ADMIN)
def update(slug: str) -> ResponseReturnValue:
    form = read_list_form(request.form)
    try:
        with transaction() as session:
            mailing_list = get_list(session, slug)
            list_settings, now = read_list_settings(session, form, slug=slug), utc_now()
            changes = update_list(
                session, mailing_list, list_settings, version=read_version(form), now=now
            )
            if changes:
                detail = {
                    name: describe_change(*map(_audit_value, pair))
                    for name, pair in changes.items()
                }
                _record_list_action(session, "list_changed", slug, now, detail)
                invalidate_pages(session)
    except Invalid as error:
        return _render_edit(slug, form, error.problems), 422
    except Conflict:
        return _render_conflict(slug, form), 409
    flash("Saved." if changes else "Nothing was changed.", "good")
    return redirect(url_for("admin_lists.show", slug=slug), 303)


@blueprint.get("/lists/<slug>/embed")
@open_to(Access.ADMIN)
def show_embed_form(slug: str) -> ResponseReturnValue:
    with reading() as session:
        mailing_list = get_list(session, slug)
    address = links().path(f"/embed/{slug}")
    context = {"mailing_list": mailing_list, "address": address, "height": FRAME_HEIGHT}
    key = tokens().make(TokenPurpose.EMBED, mailing_list.id)
    return render_template(
        "admin/lists/show_embed_form.html",
        **context,
        frame=render_template("admin/lists/embed_frame.html", **context),
        plain=render_template(
            "admin/lists/embed_plain.html",
            mailing_list=mailing_list,
            action=links().path("/subscribe"),
            key=key,
        ),
    )


@blueprint.get("/lists/<slug>/archive")
@open_to(Access.ADMIN)
def confirm_archive(slug: str) -> ResponseReturnValue:
    with reading() as session:
        mailing_list = get_list(session, slug)
        under_way = []
        for send in list_unfinished_sends(session, mailing_list.id):
            counted = count_deliveries(session, send)
            subject = send.edition.as_message().subject
            under_way.append(
                (
                    send,
                    subject,
                    send_status.describe_send_state(send, counted, now=utc_now()),
                    counted,
                )
            )
    return render_template(
        "admin/lists/confirm_archive.html", mailing_list=mailing_list, under_way=under_way
    )


@blueprint.post("/lists/<slug>/archive")
@open_to(Access.ADMIN)
def archive(slug: str) -> ResponseReturnValue:
    def apply(session: Session, mailing_list: MailingList, now: datetime) -> None:
        archive_list(session, mailing_list, now=now)
        _record_list_action(session, "list_archived", slug, now)

    return _apply_to_list(slug, apply, "The list is archived. Its subscribers stay on it.")


@blueprint.post("/lists/<slug>/unarchive")
@open_to(Access.ADMIN)
def unarchive(slug: str) -> ResponseReturnValue:
    def apply(session: Session, mailing_list: MailingList, now: datetime) -> None:
        unarchive_list(session, mailing_list, now=now)
        _record_list_action(session, "list_unarchived", slug, now)

    return _apply_to_list(slug, apply, "The list is restored and continues with its next slot.")


@blueprint.get("/lists/<slug>/delete")
@open_to(Access.ADMIN)
def confirm_delete(slug: str) -> ResponseReturnValue:
    with reading() as session:
        mailing_list = get_list(session, slug)
        references = references_to_list(session, mailing_list)
    history = [label for name, label in HISTORY_LABELS.items() if name in references]
    return render_template(
        "admin/lists/confirm_delete.html",
        mailing_list=mailing_list,
        has_history=bool(references),
        history=history or ["other records"],
    )


@blueprint.post("/lists/<slug>/delete")
@open_to(Access.ADMIN)
def delete(slug: str) -> ResponseReturnValue:
    now = utc_now()
    try:
        with transaction() as session:
            mailing_list = get_list(session, slug)
            title = mailing_list.title
            delete_list(session, mailing_list)
            _record_list_action(session, "list_deleted", slug, now, {"title": title})
            invalidate_pages(session)
    except Conflict as error:
        flash(f"{error} Nothing was changed.")
        return redirect(url_for(".confirm_delete", slug=slug), 303)
    flash(f"{title} is deleted.", "good")
    return redirect(url_for("admin_lists.index"), 303)


def _next_digest(
    session: Session, mailing_list: MailingList, slot: Slot, now: datetime
) -> ComposedDigest:
    if mailing_list.archived_at is not None:
        return ComposedDigest([], None)
    return compose_digest(session, mailing_list, slot, services().mail_writer, now=now)


def _next_slot(session: Session, mailing_list: MailingList, now: datetime) -> Slot:
    """The next slot to fill. Today's may be filled already, by a manual send."""
    slot = next_slot_of_list(mailing_list, now=now)
    filled = select(Edition.id).where(
        Edition.list_id == mailing_list.id,
        Edition.slot == slot.day,
        Edition.occasion == DIGEST_OCCASION,
    )
    return next_slot_of_list(mailing_list, now=slot.due_at) if session.scalar(filled) else slot


def _render_new(form: ListForm, problems: dict[str, str] | None = None) -> str:
    return render_template("admin/lists/new.html", **_form_context(form, problems))


def _render_edit(
    slug: str, form: ListForm, problems: dict[str, str] | None = None, *, is_behind: bool = False
) -> str:
    with reading() as session:
        mailing_list = get_list(session, slug)
    return render_template(
        "admin/lists/edit.html",
        mailing_list=mailing_list,
        is_behind=is_behind,
        **_form_context(form, problems),
    )


def _render_conflict(slug: str, form: ListForm) -> str:
    """The submitted form, with what somebody else has saved in the meantime beside each field."""
    with reading() as session:
        stored = list_form_of(session, get_list(session, slug))
    form = replace(form, version=stored.version)
    return _render_edit(slug, form, differing_fields(form, stored), is_behind=True)


def _form_context(form: ListForm, problems: dict[str, str] | None) -> dict[str, Any]:
    with reading() as session:
        topics = list_most_used_tags(session)
    return {
        "form": form,
        "problems": problems or {},
        "frequencies": FREQUENCIES,
        "time_zones": time_zone_names(),
        "languages": LANGUAGES,
        "topics": list(topics.values()),
    }


def _audit_value(value: Any) -> Any:
    return ", ".join(value) if isinstance(value, tuple) else value


def _apply_to_list(slug: str, action: ListAction, success: str) -> ResponseReturnValue:
    """Apply an action to a list and flash the result. A refused action changes nothing."""
    try:
        with transaction() as session:
            action(session, get_list(session, slug), utc_now())
            invalidate_pages(session)
    except Conflict as error:
        flash(f"{error} Nothing was changed.")
    else:
        flash(success, "good")
    return redirect(url_for("admin_lists.show", slug=slug), 303)


def _record_list_action(
    session: Session, action: str, slug: str, now: datetime, detail: dict[str, Any] | None = None
) -> None:
    record_audit_entry(session, current_user, action, "list", slug, detail=detail, now=now)
