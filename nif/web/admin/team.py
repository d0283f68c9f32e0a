"""The team: invitations, roles, and deactivated accounts."""

from collections.abc import Callable

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.accounts import accounts
from nif.accounts.models import ROLE_LABELS, Account, RoleName
from nif.mail.transactional import queue_transactional_email
from nif.stories.publishing import invalidate_pages
from nif.web.access import Access, page_view
from nif.web.current import links, services, settings, tokens
from nif.web.forms import Choice, Form, Line
from nif.web.staff_actions import StaffAction, staff_action

blueprint = Blueprint("admin_team", __name__, url_prefix="/admin/team")


class InvitationForm(Form):
    name = Line("Name")
    email = Line("Email address", most=254)
    role = Choice(
        "Role", ROLE_LABELS, default=RoleName.AUTHOR, problem="Choose one of these roles."
    )


class RoleForm(Form):
    role = InvitationForm.role


@page_view(blueprint, Access.ADMIN, "")
def index(session: Session, form: InvitationForm | None = None) -> str:
    form = form or InvitationForm()
    return render_template(
        "admin/team/index.html",
        accounts=accounts.list_accounts(session),
        form=form,
        roles=ROLE_LABELS,
        second_factor_required=settings().require_second_factor.value,
    )


@blueprint.post("")
@staff_action(Access.ADMIN, InvitationForm, page=index)
def invite(action: StaffAction, form: InvitationForm) -> ResponseReturnValue:
    account = accounts.invite_colleague(
        action.session,
        current_user,
        form.email.data,
        form.name.data,
        form.role.data,
        now=action.now,
    )
    _queue_invitation(action, account)
    return action.done(f"{account.name} is invited. The email is on its way.", url_for(".index"))


@page_view(blueprint, Access.ADMIN, "/<id:account_id>")
def show(session: Session, account_id: int) -> str:
    account = accounts.get_account(session, account_id)
    return render_template(
        "admin/team/show.html",
        account=account,
        form=RoleForm(role=account.role),
        roles=ROLE_LABELS,
        is_self=account.id == current_user.id,
    )


@blueprint.post("/<id:account_id>/role")
@staff_action(Access.ADMIN, RoleForm, refused_to=".show")
def change_role(action: StaffAction, form: RoleForm, account_id: int) -> ResponseReturnValue:
    account = accounts.get_account(action.session, account_id)
    accounts.change_account_role(
        action.session, current_user, account, form.role.data, now=action.now
    )
    return _done(action, account, "The role of {} is changed, and they are signed out everywhere.")


BUTTONS: dict[str, tuple[str, Callable[..., None], str]] = {
    "deactivate": (
        "deactivate",
        accounts.deactivate_account,
        "{} can no longer sign in. Their stories and bylines stay.",
    ),
    "reactivate": ("reactivate", accounts.reactivate_account, "{} can sign in again."),
    "clear_second_factors": (
        "clear-second-factors",
        accounts.clear_second_factors,
        "{} signs in with the password alone and can set up a new second factor.",
    ),
    "withdraw_invitation": (
        "invitation/withdraw",
        accounts.withdraw_invitation,
        "The invitation of {} is withdrawn.",
    ),
}
"""The buttons that only apply a rule to an account: the address, the rule, and its message."""


def _add_button(name: str, path: str, rule: Callable[..., None], sentence: str) -> None:
    @staff_action(Access.ADMIN, refused_to=".show")
    def press(action: StaffAction, account_id: int) -> ResponseReturnValue:
        account = accounts.get_account(action.session, account_id)
        rule(action.session, current_user, account, now=action.now)
        if rule in (accounts.deactivate_account, accounts.reactivate_account):
            invalidate_pages(action.session)
        return _done(action, account, sentence)

    blueprint.post(f"/<id:account_id>/{path}", endpoint=name)(press)


for button, definition in BUTTONS.items():
    _add_button(button, *definition)


@blueprint.post("/<id:account_id>/invitation")
@staff_action(Access.ADMIN, refused_to=".show")
def resend_invitation(action: StaffAction, account_id: int) -> ResponseReturnValue:
    account = accounts.get_account(action.session, account_id)
    accounts.renew_invitation(action.session, current_user, account, now=action.now)
    _queue_invitation(action, account)
    return _done(
        action, account, "A new invitation to {} is on its way. Earlier links no longer work."
    )


def _done(action: StaffAction, account: Account, sentence: str) -> ResponseReturnValue:
    return action.done(sentence.format(account.name), url_for(".show", account_id=account.id))


def _queue_invitation(action: StaffAction, account: Account) -> None:
    message = services().renderer.render(
        "invitation",
        person=account.name,
        role=ROLE_LABELS[account.role],
        link=links().invitation(accounts.make_invitation_token(account, tokens())),
    )
    queue_transactional_email(action.session, account.email, message, now=action.now)
    action.wake("send_transactional_emails")
