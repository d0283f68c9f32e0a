"""The people who work here: inviting them, what they may do, and switching accounts off."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.accounts import inviting, managing
from nif.accounts.models import Account, RoleName
from nif.clock import utc_now
from nif.errors import Conflict, Invalid, NotAllowed
from nif.mail.posting import write_letter
from nif.stories.publishing import restock
from nif.web.access import Access, open_to
from nif.web.admin import house
from nif.web.admin.deeds import ROLES
from nif.web.current import links, parts, reading, settings, tokens, transaction

blueprint = Blueprint("admin_people", __name__, url_prefix="/admin/people")
blueprint.context_processor(house.banner)

ONE = f"/<int(max={2**63 - 1}):account_id>"
Deed = Callable[[Session, Account, datetime], None]


@dataclass(frozen=True)
class InviteForm:
    """As typed."""

    name: str = ""
    email: str = ""
    role: str = RoleName.AUTHOR.value


@blueprint.get("")
@open_to(Access.ADMIN)
def everyone() -> ResponseReturnValue:
    return _page(InviteForm())


@blueprint.post("")
@open_to(Access.ADMIN)
def invite() -> ResponseReturnValue:
    form = InviteForm(
        **{name: " ".join(request.form.get(name, "").split()) for name in vars(InviteForm())}
    )
    try:
        with transaction() as session:
            now = utc_now()
            account = inviting.invite(
                session, current_user, form.email, form.name, _role(form.role), now=now
            )
            _write(session, account, now)
    except Invalid as error:
        return _page(form, error.problems), 422
    except Conflict as error:
        return _page(form, {"email": str(error)}), 422
    parts().queue.wake("letters")
    flash(f"{account.name} is invited. The letter is on its way.", "good")
    return redirect(url_for(".everyone"), 303)


@blueprint.get(ONE)
@open_to(Access.ADMIN)
def one(account_id: int) -> ResponseReturnValue:
    with reading() as session:
        account = managing.get_account(session, account_id)
        return render_template(
            "admin/people/one.html",
            account=account,
            roles=ROLES,
            is_self=account.id == current_user.id,
        )


@blueprint.post(f"{ONE}/role")
@open_to(Access.ADMIN)
def change_role(account_id: int) -> ResponseReturnValue:
    def give(session: Session, account: Account, now: datetime) -> None:
        role = _role(request.form.get("role", ""))
        managing.change_role(session, current_user, account, role, now=now)

    return _do(account_id, give, "{name} has another role, and is signed out everywhere.")


@blueprint.post(f"{ONE}/off")
@open_to(Access.ADMIN)
def switch_off(account_id: int) -> ResponseReturnValue:
    def off(session: Session, account: Account, now: datetime) -> None:
        managing.switch_off(session, current_user, account, now=now)
        restock(session)

    return _do(account_id, off, "{name} cannot sign in any more. What they wrote stays.")


@blueprint.post(f"{ONE}/on")
@open_to(Access.ADMIN)
def switch_on(account_id: int) -> ResponseReturnValue:
    def on(session: Session, account: Account, now: datetime) -> None:
        managing.switch_on(session, current_user, account, now=now)
        restock(session)

    return _do(account_id, on, "{name} can sign in again.")


@blueprint.post(f"{ONE}/clear-factors")
@open_to(Access.ADMIN)
def clear_factors(account_id: int) -> ResponseReturnValue:
    def clear(session: Session, account: Account, now: datetime) -> None:
        managing.clear_factors(session, current_user, account, now=now)

    return _do(account_id, clear, "{name} signs in with the password alone, and sets up anew.")


@blueprint.post(f"{ONE}/again")
@open_to(Access.ADMIN)
def invite_again(account_id: int) -> ResponseReturnValue:
    def again(session: Session, account: Account, now: datetime) -> None:
        inviting.invite_again(session, current_user, account, now=now)
        _write(session, account, now)

    answer = _do(account_id, again, "A new letter to {name} is on its way. Older links are void.")
    parts().queue.wake("letters")
    return answer


@blueprint.post(f"{ONE}/withdraw")
@open_to(Access.ADMIN)
def withdraw(account_id: int) -> ResponseReturnValue:
    def take_back(session: Session, account: Account, now: datetime) -> None:
        inviting.withdraw(session, current_user, account, now=now)

    return _do(account_id, take_back, "The invitation of {name} is withdrawn.")


def _do(account_id: int, deed: Deed, after: str) -> ResponseReturnValue:
    """Do something to an account and say so; what may not be is told, and changes nothing."""
    try:
        with transaction() as session:
            account = managing.get_account(session, account_id)
            deed(session, account, utc_now())
    except (Conflict, NotAllowed, Invalid) as error:
        flash(f"{error} Nothing was changed.")
    else:
        flash(after.format(name=account.name), "good")
    return redirect(url_for(".one", account_id=account_id), 303)


def _write(session: Session, account: Account, now: datetime) -> None:
    """Put the letter with the link into the tray."""
    message = parts().stationery.write(
        "invitation",
        person=account.name,
        role=ROLES[account.role],
        link=links().invitation(inviting.token_for(account, tokens())),
    )
    write_letter(session, account.email, message, now=now)


def _role(typed: str) -> RoleName:
    """Raises Invalid."""
    try:
        return RoleName(typed)
    except ValueError:
        raise Invalid({"role": "Choose one of these roles."}) from None


def _page(form: InviteForm, problems: dict[str, str] | None = None) -> str:
    with reading() as session:
        people = managing.everyone(session)
    return render_template(
        "admin/people/everyone.html",
        people=people,
        form=form,
        problems=problems or {},
        roles=ROLES,
        required=settings().require_second_factor.value,
    )
