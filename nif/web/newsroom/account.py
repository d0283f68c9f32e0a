"""A staff member's own account: name, profile, second factors, password and sessions."""

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
    profile_input = _read_profile()
    try:
        with transaction() as session:
            account = accounts.get_account(session, current_user.id)
            before = _profile_facts(account, profiles.find_profile(session, account.id))
            profile = profiles.save_profile(session, account, profile_input)
            after = _profile_facts(account, profile)
            detail = {
                name: describe_change(before[name], after[name])
                for name in after
                if before[name] != after[name]
            }
            if detail:
                record_audit_entry(
                    session,
                    account,
                    "profile_changed",
                    "account",
                    account.id,
                    detail=detail,
                    now=utc_now(),
                )
            invalidate_pages(session)
    except Invalid as error:
        return _account_page(profile_input, error.problems), 422
    flash("Saved.", "good")
    return redirect(url_for(".show"), 303)


@blueprint.post("/sessions/end")
@open_to(Access.AUTHOR)
def sign_out_everywhere() -> ResponseReturnValue:
    with transaction() as session:
        account = accounts.get_account(session, current_user.id)
        accounts.end_account_sessions(account)
        record_audit_entry(
            session, account, "signed_out_everywhere", "account", account.id, now=utc_now()
        )
    flash("You are signed out on all devices, including this one.", "success")
    return redirect("/login", 303)


@blueprint.get("/second-factor")
@open_to(Access.AUTHOR)
def second_factor() -> ResponseReturnValue:
    """The page to which accounts are redirected that must set up a second factor."""
    return render_template(
        "newsroom/account/second_factor.html",
        required=lacks_required_second_factor(current_user, settings()),
    )


def _account_page(
    profile_input: ProfileInput | None = None, problems: dict[str, str] | None = None
) -> str:
    with reading() as session:
        profile = profiles.find_profile(session, current_user.id)
    return render_template(
        "newsroom/account/show.html",
        form=profile_input or _profile_form(profile),
        slug=profile.slug if profile and profile.is_public else None,
        max_lengths=MAX_FIELD_LENGTHS,
        problems=problems or {},
    )


def _read_profile() -> ProfileInput:
    """The profile as typed. All fields but the bio are a single line."""
    texts = {field.name: request.form.get(field.name, "") for field in fields(ProfileInput)}
    texts.pop("is_public")
    cleaned = {
        name: _clean_lines(text) if name in MULTILINE_FIELDS else " ".join(text.split())
        for name, text in texts.items()
    }
    return ProfileInput(**cleaned, is_public="is_public" in request.form)


def _clean_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _profile_form(profile: Profile | None) -> ProfileInput:
    if profile is None:
        return ProfileInput(current_user.name)
    texts = {name: getattr(profile, name) for name in MAX_FIELD_LENGTHS}
    return ProfileInput(current_user.name, is_public=profile.is_public, **texts)


def _profile_facts(account: Account, profile: Profile | None) -> dict[str, Any]:
    """The values of a profile that an audit entry compares."""
    texts = {name: getattr(profile, name) if profile else "" for name in MAX_FIELD_LENGTHS}
    return {"name": account.name, "is_public": bool(profile and profile.is_public), **texts}
