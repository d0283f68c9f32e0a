"""One's own account: name and profile, what proves who one is, and where one is signed in."""

from dataclasses import fields
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from nif.accounts import managing, profiling
from nif.accounts.auditing import changed, note
from nif.accounts.models import Account, Profile
from nif.accounts.profiling import LONGEST, ProfileCopy
from nif.clock import utc_now
from nif.errors import Invalid
from nif.stories.publishing import restock
from nif.stories.slugs import slugify
from nif.web.access import Access, open_to
from nif.web.current import reading, settings, transaction
from nif.web.factors import lacks_required

blueprint = Blueprint("account", __name__, url_prefix="/account")

MULTILINE = {"bio"}


@blueprint.get("/")
@open_to(Access.AUTHOR)
def own() -> ResponseReturnValue:
    return _page()


@blueprint.post("/profile")
@open_to(Access.AUTHOR)
def profile() -> ResponseReturnValue:
    copy = _read()
    try:
        with transaction() as session:
            account = managing.get_account(session, current_user.id)
            before = _facts(account, profiling.find(session, account.id))
            kept = profiling.write(session, account, copy, wanted=slugify(copy.name))
            after = _facts(account, kept)
            detail = {k: changed(before[k], after[k]) for k in after if before[k] != after[k]}
            if detail:
                subject = account.id
                note(
                    session,
                    account,
                    "profile_changed",
                    kind="account",
                    subject=subject,
                    detail=detail,
                    now=utc_now(),
                )
            restock(session)
    except Invalid as error:
        return _page(copy, error.problems), 422
    flash("Saved.", "good")
    return redirect(url_for(".own"), 303)


@blueprint.post("/sessions/end")
@open_to(Access.AUTHOR)
def sign_out_everywhere() -> ResponseReturnValue:
    with transaction() as session:
        account = managing.get_account(session, current_user.id)
        managing.end_sessions(account)
        note(
            session,
            account,
            "signed_out_everywhere",
            kind="account",
            subject=account.id,
            now=utc_now(),
        )
    flash("You are signed out everywhere, here too.", "success")
    return redirect("/login", 303)


@blueprint.get("/second-factor")
@open_to(Access.AUTHOR)
def second_factor() -> ResponseReturnValue:
    """Where those are led who need one and have none."""
    return render_template(
        "newsroom/account/second_factor.html", required=lacks_required(current_user, settings())
    )


def _page(copy: ProfileCopy | None = None, problems: dict[str, str] | None = None) -> str:
    with reading() as session:
        found = profiling.find(session, current_user.id)
    return render_template(
        "newsroom/account/own.html",
        form=copy or _filled(found),
        slug=found.slug if found and found.is_public else None,
        longest=LONGEST,
        problems=problems or {},
    )


def _read() -> ProfileCopy:
    """What was typed; a profile's lines are one line each, but for the bio."""
    texts = {field.name: request.form.get(field.name, "") for field in fields(ProfileCopy)}
    texts.pop("is_public")
    tidied = {
        name: _tidy_lines(text) if name in MULTILINE else " ".join(text.split())
        for name, text in texts.items()
    }
    return ProfileCopy(**tidied, is_public="is_public" in request.form)


def _tidy_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _filled(found: Profile | None) -> ProfileCopy:
    if found is None:
        return ProfileCopy(current_user.name)
    texts = {name: getattr(found, name) for name in LONGEST}
    return ProfileCopy(current_user.name, is_public=found.is_public, **texts)


def _facts(account: Account, found: Profile | None) -> dict[str, Any]:
    """What an act says of a profile: its texts in short."""
    texts = {name: getattr(found, name) if found else "" for name in LONGEST}
    return {"name": account.name, "is_public": bool(found and found.is_public), **texts}
