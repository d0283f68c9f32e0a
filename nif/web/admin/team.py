"""The team: invitations, roles, and deactivated accounts."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.accounts import accounts
from nif.accounts.models import Account, RoleName
from nif.clock import utc_now
from nif.errors import Conflict, Invalid, NotAllowed
from nif.mail.transactional import queue_transactional_email
from nif.stories.publishing import invalidate_pages
from nif.web.access import Access, open_to
from nif.web.admin import system_status
from nif.web.admin.audit_log import ROLE_LABELS
from nif.web.current import links, reading, services, settings, tokens, transaction

blueprint = Blueprint("admin_team", __name__, url_prefix="/admin/team")
blueprint.context_processor(system_status.status_banner)

ACCOUNT_PATH = f"/<int(max={2**63 - 1}):account_id>"
AccountAction = Callable[[Session, Account, datetime], None]


@dataclass(frozen=True)
class InvitationForm:
    """The invitation form as submitted."""

    name: str = ""
    email: str = ""
    role: str = RoleName.AUTHOR.value


@blueprint.get("")
@open_to(Access.ADMIN)
def index() -> ResponseReturnValue:
    return _render_index(InvitationForm())


@blueprint.post("")
@open_to(Access.ADMIN)
def invite() -> ResponseReturnValue:
    form = InvitationForm(
        **{name: " ".join(request.form.get(name, "").split()) for name in vars(InvitationForm())}
    )
    try:
        with transaction() as session:
            now = utc_now()
            account = accounts.invite_colleague(
                session, current_user, form.email, form.name, _read_role(form.role), now=now
            )
            _queue_invitation(session, account, now)
    except Invalid as error:
        return _render_index(form, error.problems), 422
    except Conflict as error:
        return _render_index(form, {"email": str(error)}), 422
    services().queue.wake("send_transactional_emails")
    flash(f"{account.name} is invited. The email is on its way.", "good")
    return redirect(url_for(".index"), 303)


@blueprint.get(ACCOUNT_PATH)
@open_to(Access.ADMIN)
def show(account_id: int) -> ResponseReturnValue:
    with reading() as session:
        account = accounts.get_account(session, account_id)
        return render_template(
            "admin/team/show.html",
            account=account,
            roles=ROLE_LABELS,
            is_self=account.id == current_user.id,
        )


@blueprint.post(f"{ACCOUNT_PATH}/role")
@open_to(Access.ADMIN)
def change_role(account_id: int) -> ResponseReturnValue:
    def set_role(session: Session, account: Account, now: datetime) -> None:
        role = _read_role(request.form.get("role", ""))
        accounts.change_account_role(session, current_user, account, role, now=now)

    return _apply_to_account(
        account_id, set_role, "The role of {name} is changed, and they are signed out everywhere."
    )


@blueprint.post(f"{ACCOUNT_PATH}/deactivate")
@open_to(Access.ADMIN)
def deactivate(account_id: int) -> ResponseReturnValue:
    def switch_off(session: Session, account: Account, now: datetime) -> None:
        accounts.deactivate_account(session, current_user, account, now=now)
        invalidate_pages(session)

    return _apply_to_account(
        account_id, switch_off, "{name} can no longer sign in. Their stories and bylines stay."
    )


@blueprint.post(f"{ACCOUNT_PATH}/reactivate")
@open_to(Access.ADMIN)
def reactivate(account_id: int) -> ResponseReturnValue:
    def switch_on(session: Session, account: Account, now: datetime) -> None:
        accounts.reactivate_account(session, current_user, account, now=now)
        invalidate_pages(session)

    return _apply_to_account(account_id, switch_on, "{name} can sign in again.")


@blueprint.post(f"{ACCOUNT_PATH}/clear-second-factors")
@open_to(Access.ADMIN)
def clear_second_factors(account_id: int) -> ResponseReturnValue:
    def clear(session: Session, account: Account, now: datetime) -> None:
        accounts.clear_second_factors(session, current_user, account, now=now)

    return _apply_to_account(
        account_id,
        clear,
        "{name} signs in with the password alone and can set up a new second factor.",
    )


@blueprint.post(f"{ACCOUNT_PATH}/invitation")
@open_to(Access.ADMIN)
def resend_invitation(account_id: int) -> ResponseReturnValue:
    def renew(session: Session, account: Account, now: datetime) -> None:
        accounts.renew_invitation(session, current_user, account, now=now)
        _queue_invitation(session, account, now)

    response = _apply_to_account(
        account_id, renew, "A new invitation to {name} is on its way. Earlier links no longer work."
    )
    services().queue.wake("send_transactional_emails")
    return response


@blueprint.post(f"{ACCOUNT_PATH}/invitation/withdraw")
@open_to(Access.ADMIN)
def withdraw_invitation(account_id: int) -> ResponseReturnValue:
    def withdraw(session: Session, account: Account, now: datetime) -> None:
        accounts.withdraw_invitation(session, current_user, account, now=now)

    return _apply_to_account(account_id, withdraw, "The invitation of {name} is withdrawn.")


def _apply_to_account(account_id: int, action: AccountAction, success: str) -> ResponseReturnValue:
    """Apply an action to an account and flash the result. A refused action changes nothing."""
    try:
        with transaction() as session:
            account = accounts.get_account(session, account_id)
            action(session, account, utc_now())
    except (Conflict, NotAllowed, Invalid) as error:
        flash(f"{error} Nothing was changed.")
    else:
        flash(success.format(name=account.name), "good")
    return redirect(url_for(".show", account_id=account_id), 303)


def _queue_invitation(session: Session, account: Account, now: datetime) -> None:
    """Queue the email with the invitation link."""
    message = services().renderer.render(
        "invitation",
        person=account.name,
        role=ROLE_LABELS[account.role],
        link=links().invitation(accounts.make_invitation_token(account, tokens())),
    )
    queue_transactional_email(session, account.email, message, now=now)


def _read_role(typed: str) -> RoleName:
    """The role of that name. Raises Invalid for any other text."""
    try:
        return RoleName(typed)
    except ValueError:
        raise Invalid({"role": "Choose one of these roles."}) from None


def _render_index(form: InvitationForm, problems: dict[str, str] | None = None) -> str:
    with reading() as session:
        team = accounts.list_accounts(session)
    return render_template(
        "admin/team/index.html",
        accounts=team,
        form=form,
        problems=problems or {},
        roles=ROLE_LABELS,
        second_factor_required=settings().require_second_factor.value,
    )
