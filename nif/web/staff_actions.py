"""The one way in which staff change something: access, form, rule, audit entry, message, redirect.

@blueprint.post("/lists/<slug>/archive")
@staff_action(Access.ADMIN, refused_to="admin_lists.show")
def archive(action: StaffAction, slug: str) -> ResponseReturnValue:
    archive_list(action.session, get_list(action.session, slug), now=action.now)
    action.audit("list_archived", "list", slug)
    return action.done("The list is archived.", url_for("admin_lists.show", slug=slug))
"""

from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from functools import wraps
from typing import Any

from flask import current_app, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.accounts.audit_log import record_audit_entry
from nif.accounts.models import Account
from nif.clock import utc_now
from nif.errors import Conflict, Invalid, NifError, NotAllowed
from nif.web.access import Access, open_to
from nif.web.current import services, transaction
from nif.web.forms import Form

View = Callable[..., ResponseReturnValue]


class StaffAction:
    """An action under way: its transaction, its time, and the account that acts.

    What `done`, `wake` and `after_commit` ask for is left out where the action fails.
    """

    def __init__(self) -> None:
        self.now: datetime = utc_now()
        self._transaction = ExitStack()
        self._session: Session | None = None
        self._after_commit: list[Callable[[], object]] = []

    @property
    def session(self) -> Session:
        """The session of the action's transaction, which begins when it is first asked for."""
        if self._session is None:
            self._session = self._transaction.enter_context(transaction())
        return self._session

    @property
    def account(self) -> Account:
        """The account that acts, as a row of the action's session."""
        return self.session.get_one(Account, current_user.id)

    def audit(self, entry: str, subject_kind: str, subject_id: object, /, **detail: Any) -> None:
        """Record in the audit log what was done. Values of the detail must be short."""
        record_audit_entry(
            self.session, current_user, entry, subject_kind, subject_id, detail=detail, now=self.now
        )

    def after_commit(self, step: Callable[[], object]) -> None:
        """Do something that must not happen unless the transaction is committed."""
        self._after_commit.append(step)

    def on_failure(self, step: Callable[[], object]) -> None:
        """Do something where the action or its commit fails. To be called before `session` is."""

        def clean_up(error: type[BaseException] | None, *_: object) -> None:
            if error is not None:
                step()

        self._transaction.push(clean_up)

    def wake(self, job: str) -> None:
        """Wake a job of the worker after the commit."""
        self.after_commit(lambda: services().queue.wake(job))

    def done(self, message: Any, address: str) -> ResponseReturnValue:
        """Show the page at an address, with a message of success unless it is empty."""
        if message:
            self.after_commit(lambda: flash(message, "good"))
        return redirect(address, 303)

    def run(self, view: Callable[[], ResponseReturnValue]) -> ResponseReturnValue:
        """Run the view in the transaction, commit it, then do what waited for that."""
        with self._transaction:
            answer = view()
        for step in self._after_commit:
            step()
        return answer


def staff_action(
    access: Access,
    form: type[Form] | None = None,
    *,
    page: Callable[..., str] | None = None,
    refused_to: str = "",
) -> Callable[[View], View]:
    """Make a view the action of those who have this access.

    The view gets a StaffAction, the valid form if the action has one, and the arguments of its
    route. `page`, which gets the form and the arguments, shows it again: with 422 where the form
    or a rule found problems, with 409 where `form.refuse` made the error the form's `conflict`.
    Without a form, or with `refused_to`, a refused action flashes the reason and redirects to that
    endpoint, which gets the arguments that its route has. Nothing is changed by an action that is
    refused.
    """

    def decorate(view: View) -> View:
        @open_to(access)
        @wraps(view)
        def act(**arguments: Any) -> ResponseReturnValue:
            action, given = StaffAction(), form(request.form) if form else None
            inputs = () if given is None else (given,)
            try:
                if given is not None:
                    given.check()
                return action.run(lambda: view(action, *inputs, **arguments))
            except (Conflict, NotAllowed, Invalid) as error:
                is_invalid = isinstance(error, Invalid)
                if given is not None and page and (is_invalid or not refused_to):
                    given.refuse(error)
                    return page(**arguments, form=given), 409 if given.conflict else 422
                if not refused_to:
                    raise
                return _refuse(error, refused_to, arguments)

        return act

    return decorate


def _refuse(error: NifError, endpoint: str, arguments: dict[str, Any]) -> ResponseReturnValue:
    flash(f"{error} Nothing was changed.")
    endpoint = f"{request.blueprint}{endpoint}" if endpoint.startswith(".") else endpoint
    rule = next(current_app.url_map.iter_rules(endpoint))
    known = {name: value for name, value in arguments.items() if name in rule.arguments}
    return redirect(url_for(endpoint, **known), 303)
