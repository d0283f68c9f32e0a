"""A staff member's own account: name, profile, second factors, password and sessions."""

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session
from wtforms.validators import ValidationError

from nif.accounts import accounts
from nif.accounts.accounts import MAX_PROFILE_LENGTHS, ProfileInput
from nif.accounts.audit_log import describe_change
from nif.accounts.models import ROLE_LABELS, Profile
from nif.errors import Invalid
from nif.stories.publishing import invalidate_pages
from nif.web.access import Access, open_to, page_view
from nif.web.current import settings
from nif.web.forms import Form, Line, Lines, Tick
from nif.web.second_factors import lacks_required_second_factor
from nif.web.staff_actions import StaffAction, staff_action

blueprint = Blueprint("account", __name__, url_prefix="/account")


class ProfileForm(Form):
    """The fields of ProfileInput."""

    name = Line("Name", most=100)
    job_title = Line("Job title", most=MAX_PROFILE_LENGTHS["job_title"])
    bio = Lines("About you", most=MAX_PROFILE_LENGTHS["bio"])
    contact = Line("Public contact", most=MAX_PROFILE_LENGTHS["contact"])
    location = Line("Location", most=MAX_PROFILE_LENGTHS["location"])
    languages = Line("Languages", most=MAX_PROFILE_LENGTHS["languages"])
    expertise = Line("Beat", most=MAX_PROFILE_LENGTHS["expertise"])
    is_public = Tick("Show my profile to readers on its own page")

    def validate_name(self, field: Line) -> None:
        try:
            accounts.check_account_name(field.data)
        except Invalid as error:
            raise ValidationError(error.problems["name"]) from None


@page_view(blueprint, Access.AUTHOR, "/")
def show(session: Session, form: ProfileForm | None = None) -> str:
    profile = session.get(Profile, current_user.id)
    return render_template(
        "newsroom/account/show.html",
        form=form or ProfileForm(obj=profile, name=current_user.name),
        slug=profile.slug if profile and profile.is_public else None,
        roles=ROLE_LABELS,
    )


@blueprint.post("/profile")
@staff_action(Access.AUTHOR, ProfileForm, page=show)
def update_profile(action: StaffAction, form: ProfileForm) -> ResponseReturnValue:
    account = action.account
    profile = action.session.get(Profile, account.id)
    before = ProfileForm(obj=profile, name=account.name).data
    accounts.save_profile(action.session, account, ProfileInput(**form.data))
    if form.data != before:
        changed = {name for name, value in form.data.items() if value != before[name]}
        detail = {name: describe_change(before[name], form.data[name]) for name in changed}
        action.audit("profile_changed", "account", account.id, **detail)
    invalidate_pages(action.session)
    return action.done("Saved.", url_for(".show"))


@blueprint.post("/sessions/end")
@staff_action(Access.AUTHOR)
def sign_out_everywhere(action: StaffAction) -> ResponseReturnValue:
    accounts.end_account_sessions(action.account)
    action.audit("signed_out_everywhere", "account", current_user.id)
    return action.done("You are signed out on all devices, including this one.", "/login")


@blueprint.get("/second-factor")
@open_to(Access.AUTHOR)
def second_factor() -> str:
    """The page to which accounts are redirected that must set up a second factor."""
    return render_template(
        "newsroom/account/second_factor.html",
        required=lacks_required_second_factor(current_user, settings()),
    )
