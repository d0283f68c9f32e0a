"""What a list stands for: founding one, and changing everything but its short name."""

from dataclasses import replace
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.accounts.auditing import changed, note
from nif.clock import utc_now
from nif.errors import Conflict, Invalid
from nif.stories.publishing import restock
from nif.stories.topics import most_used
from nif.subscriptions.establishing import establish, recharter
from nif.subscriptions.languages import LANGUAGES
from nif.subscriptions.reading import get_list
from nif.web.access import Access, open_to
from nif.web.admin.list_form import (
    OFTEN,
    ListForm,
    charter_of,
    differences,
    edits_of,
    filled,
    read,
    zones,
)
from nif.web.current import reading, settings, transaction

blueprint = Blueprint("charters", __name__)


@blueprint.get("/lists/new")
@open_to(Access.ADMIN)
def begin() -> ResponseReturnValue:
    return _new(ListForm(zone=settings().time_zone, is_shown="1"))


@blueprint.post("/lists/new")
@open_to(Access.ADMIN)
def create() -> ResponseReturnValue:
    form = read(request.form)
    try:
        with transaction() as session:
            slug = establish(session, charter_of(session, form), now=utc_now()).slug
            _note(session, "list_created", slug, {"title": form.title})
            restock(session)
    except Invalid as error:
        return _new(form, error.problems), 422
    except Conflict as error:
        return _new(form, {"slug": f"{error} Choose another short name."}), 422
    flash("The list is there. People can subscribe to it from now on.", "good")
    return redirect(url_for("admin_lists.one", slug=slug), 303)


@blueprint.get("/lists/<slug>/edit")
@open_to(Access.ADMIN)
def edit(slug: str) -> ResponseReturnValue:
    with reading() as session:
        form = filled(session, get_list(session, slug))
    return _edit(slug, form)


@blueprint.post("/lists/<slug>/edit")
@open_to(Access.ADMIN)
def save(slug: str) -> ResponseReturnValue:
    form = read(request.form)
    try:
        with transaction() as session:
            mailing_list = get_list(session, slug)
            charter, now = charter_of(session, form, slug=slug), utc_now()
            found = recharter(session, mailing_list, charter, edits=edits_of(form), now=now)
            if found:
                detail = {name: changed(*map(_in_words, pair)) for name, pair in found.items()}
                _note(session, "list_changed", slug, detail)
                restock(session)
    except Invalid as error:
        return _edit(slug, form, error.problems), 422
    except Conflict:
        return _meanwhile(slug, form), 409
    flash("Saved." if found else "Nothing was changed, so nothing was saved.", "good")
    return redirect(url_for("admin_lists.one", slug=slug), 303)


def _meanwhile(slug: str, form: ListForm) -> str:
    """What was typed, and beside it what somebody else has saved since."""
    with reading() as session:
        kept = filled(session, get_list(session, slug))
    form = replace(form, edits=kept.edits)
    return _edit(slug, form, differences(form, kept), is_behind=True)


def _in_words(value: Any) -> Any:
    return ", ".join(value) if isinstance(value, tuple) else value


def _note(session: Session, what: str, slug: str, detail: dict[str, Any]) -> None:
    note(session, current_user, what, kind="list", subject=slug, detail=detail, now=utc_now())


def _new(form: ListForm, problems: dict[str, str] | None = None) -> str:
    return render_template("admin/charters/new.html", **_choices(form, problems))


def _edit(
    slug: str, form: ListForm, problems: dict[str, str] | None = None, *, is_behind: bool = False
) -> str:
    with reading() as session:
        mailing_list = get_list(session, slug)
    return render_template(
        "admin/charters/edit.html",
        mailing_list=mailing_list,
        is_behind=is_behind,
        **_choices(form, problems),
    )


def _choices(form: ListForm, problems: dict[str, str] | None) -> dict[str, Any]:
    with reading() as session:
        topics = most_used(session)
    return {
        "form": form,
        "problems": problems or {},
        "often": OFTEN,
        "zones": zones(),
        "languages": LANGUAGES,
        "topics": list(topics.values()),
    }
