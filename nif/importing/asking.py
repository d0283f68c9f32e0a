"""Asking those whom an import brought in, and who have not confirmed elsewhere, to confirm."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from nif.editions.asking import freeze_asking
from nif.editions.writing import Desk, confirmation_message
from nif.errors import Conflict, Invalid
from nif.importing.models import ImportRow, ImportRun, RunState
from nif.mail.message import Message
from nif.sends.asking import LEAST_AN_HOUR, MOST_AN_HOUR, Question, ask, find_of_run
from nif.sends.askings import Asking, AskingKind
from nif.sends.planning import Terms
from nif.subscriptions.models import (
    Consent,
    ConsentAction,
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
)

AN_HOUR = 500
"""What is proposed: a young sender's address bears that much after ten days of warming up."""

AT_MOST = timedelta(days=14)
"""So long an asking takes at most."""

NOT_DONE = "Only who was brought in can be asked: this import is not done."
CONFIRMED = "They have confirmed elsewhere, as this import says: there is nothing to ask."
ASKED = "They have been asked already. Nobody is asked twice."
NOBODY = "Nobody of this import waits for a question any more."


def why_not(session: Session, run: ImportRun) -> str | None:
    """Why the people of an import cannot be asked to confirm; None where they can."""
    if run.state not in {RunState.DONE, RunState.STOPPED}:
        return NOT_DONE
    if run.confirmed:
        return CONFIRMED
    return ASKED if find_of_run(session, run.id) is not None else None


def to_ask(session: Session, run: ImportRun) -> int:
    """How many there are to be asked now: read by the import's own rows."""
    people = _waiting(run).subquery()
    return session.scalar(select(func.count()).select_from(people)) or 0


def longest(unconfirmed: timedelta) -> timedelta:
    """How long an asking may take where pending people lapse so long after being asked.

    Half of that: nobody is to lapse while they wait for their turn, even if it pauses for a while.
    """
    return min(AT_MOST, unconfirmed / 2)


def least_an_hour(people: int, within: timedelta) -> int:
    """The slowest pace that so many can be asked at in that time."""
    hours = within.total_seconds() / 3600
    return min(MOST_AN_HOUR, max(LEAST_AN_HOUR, -int(-people // hours)))


def letter(desk: Desk, run: ImportRun) -> Message:
    """What they would get."""
    return confirmation_message(desk, run.mailing_list, run.basis)


def ask_to_confirm(
    session: Session, run: ImportRun, desk: Desk, per_hour: int, terms: Terms, *, now: datetime
) -> Asking:
    """Ask everyone of an import who is pending, once. Their time to answer begins with their mail.

    `run` is locked, and `terms.within` is how long the whole may take. Who is suppressed, has left,
    or has asked by themselves is not asked. Raises Conflict where they cannot be asked, Invalid for
    a pace that is too slow or too fast.
    """
    if problem := why_not(session, run):
        raise Conflict(problem)
    people = to_ask(session, run)
    if not people:
        raise Conflict(NOBODY)
    check_pace(per_hour, people, terms.within)
    mailing_list = session.get_one(MailingList, run.list_id)
    edition = freeze_asking(session, mailing_list, letter(desk, run), now=now)
    if edition is None:
        raise Conflict("Another question to this list was begun this very second. Press again.")
    question = Question(
        AskingKind.CONFIRM, per_hour, since=run.started_at or run.created_at, run_id=run.id
    )
    return ask(session, edition, question, terms, among=_waiting(run), now=now)


def check_pace(per_hour: int, people: int, within: timedelta) -> None:
    """Raises Invalid, for the field `per_hour`."""
    least = least_an_hour(people, within)
    if per_hour < least:
        why = (
            f"At fewer than {least:,} an hour it would take over {within.days} days."
            if least > LEAST_AN_HOUR
            else f"Choose {LEAST_AN_HOUR} an hour or more."
        )
        raise Invalid({"per_hour": why})
    if per_hour > MOST_AN_HOUR:
        raise Invalid({"per_hour": f"At most {MOST_AN_HOUR:,} an hour."})


def _waiting(run: ImportRun) -> Select[*tuple[int]]:
    """Who came by a run and is pending still, is not suppressed and has not asked themselves."""
    return (
        select(ImportRow.subscriber_id)
        .join(Subscriber, Subscriber.id == ImportRow.subscriber_id)
        .join(
            Subscription,
            (Subscription.subscriber_id == ImportRow.subscriber_id)
            & (Subscription.list_id == run.list_id),
        )
        .outerjoin(Suppression, Suppression.canonical == Subscriber.canonical)
        .where(
            ImportRow.run_id == run.id,
            ImportRow.after == SubscriptionState.PENDING,
            Subscription.state == SubscriptionState.PENDING,
            Suppression.canonical.is_(None),
            ~_asked_themselves(run),
        )
    )


def _asked_themselves(run: ImportRun) -> ColumnElement[bool]:
    return (
        select(Consent.id)
        .where(
            Consent.subscriber_id == ImportRow.subscriber_id,
            Consent.list_id == run.list_id,
            Consent.action == ConsentAction.ASKED,
            Consent.at >= (run.started_at or run.created_at),
        )
        .exists()
    )
