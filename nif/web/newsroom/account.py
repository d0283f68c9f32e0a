"""One's own account: name and profile, what proves who one is, and where one is signed in."""

from dataclasses import fields
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from nif.accounts import accounts, profiles
from nif.accounts.audit_log import describe_change, record_audit_entry
from nif.accounts.models import Account, Profile
from nif.accounts.profiles import MAX_FIELD_LENGTHS, ProfileInput
from nif.clock import utc_now
from nif.errors import Invalid
from nif.slugs import slugify
from nif.stories.publishing import invalidate_pages
from nif.web.access import Access, open_to
from nif.web.current import reading, settings, transaction
from nif.web.second_factors import lacks_required_second_factor

blueprint = Blueprint("account", __name__, url_prefix="/account")

MULTILINE_FIELDS = {"bio"}


@blueprint.get("/")
@open_to(Access.AUTHOR)
def show() -> ResponseReturnValue:
    return _account_page()


@blueprint.post("/profile")
@open_to(Access.AUTHOR)
def update_profile() -> ResponseReturnValue:
    copy = _read_profile()
    try:
        with transaction() as session:
            account = accounts.get_account(session, current_user.id)
            before = _profile_facts(account, profiles.find_profile(session, account.id))
            kept = profiles.save_profile(session, account, copy, wanted=slugify(copy.name))
            after = _profile_facts(account, kept)
            detail = {
                k: describe_change(before[k], after[k]) for k in after if before[k] != after[k]
            }
            if detail:
                subject = account.id
                record_audit_entry(
                    session,
                    account,
                    "profile_changed",
                    kind="account",
                    subject=subject,
                    detail=detail,
                    now=utc_now(),
                )
            invalidate_pages(session)
    except Invalid as error:
        return _account_page(copy, error.problems), 422
    flash("Saved.", "good")
    return redirect(url_for(".show"), 303)


@blueprint.post("/sessions/end")
@open_to(Access.AUTHOR)
def sign_out_everywhere() -> ResponseReturnValue:
    with transaction() as session:
        account = accounts.get_account(session, current_user.id)
        accounts.end_account_sessions(account)
        record_audit_entry(
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
        "newsroom/account/second_factor.html",
        required=lacks_required_second_factor(current_user, settings()),
    )


def _account_page(copy: ProfileInput | None = None, problems: dict[str, str] | None = None) -> str:
    with reading() as session:
        found = profiles.find_profile(session, current_user.id)
    return render_template(
        "newsroom/account/show.html",
        form=copy or _profile_form(found),
        slug=found.slug if found and found.is_public else None,
        longest=MAX_FIELD_LENGTHS,
        problems=problems or {},
    )


def _read_profile() -> ProfileInput:
    """What was typed; a profile's lines are one line each, but for the bio."""
    texts = {field.name: request.form.get(field.name, "") for field in fields(ProfileInput)}
    texts.pop("is_public")
    tidied = {
        name: _tidy_lines(text) if name in MULTILINE_FIELDS else " ".join(text.split())
        for name, text in texts.items()
    }
    return ProfileInput(**tidied, is_public="is_public" in request.form)


def _tidy_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _profile_form(found: Profile | None) -> ProfileInput:
    if found is None:
        return ProfileInput(current_user.name)
    texts = {name: getattr(found, name) for name in MAX_FIELD_LENGTHS}
    return ProfileInput(current_user.name, is_public=found.is_public, **texts)


def _profile_facts(account: Account, found: Profile | None) -> dict[str, Any]:
    """What an act says of a profile: its texts in short."""
    texts = {name: getattr(found, name) if found else "" for name in MAX_FIELD_LENGTHS}
    return {"name": account.name, "is_public": bool(found and found.is_public), **texts}
