"""Asking those whom an import brought in, and who have not confirmed elsewhere, to confirm."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from nif.editions.messages import (
    freeze_repermission_edition,
    write_imported_repermission_message,
)
from nif.errors import Conflict, Invalid
from nif.imports.models import ImportedSubscription, ImportRun, ImportState
from nif.mail.message import MailWriter, Message
from nif.sends.planning import SendTerms
from nif.sends.repermission import (
    MAX_MAILS_PER_HOUR,
    MIN_MAILS_PER_HOUR,
    RepermissionCampaign,
    RepermissionKind,
    RepermissionSettings,
    find_campaign_of_import,
    start_campaign,
)
from nif.subscriptions.models import (
    Consent,
    ConsentAction,
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
)

DEFAULT_PER_HOUR = 500
"""What is proposed: a young sender's address bears that much after ten days of warming up."""

MAX_CAMPAIGN_DURATION = timedelta(days=14)
"""So long an asking takes at most."""

IMPORT_NOT_DONE = "Only who was brought in can be asked: this import is not done."
CONFIRMED_ELSEWHERE = "They have confirmed elsewhere, as this import says: there is nothing to ask."
ALREADY_ASKED = "They have been asked already. Nobody is asked twice."
NOBODY_UNCONFIRMED = "Nobody of this import waits for a question any more."


def find_repermission_obstacle(session: Session, run: ImportRun) -> str | None:
    """Why the people of an import cannot be asked to confirm; None where they can."""
    if run.state not in {ImportState.DONE, ImportState.STOPPED}:
        return IMPORT_NOT_DONE
    if run.confirmed_elsewhere:
        return CONFIRMED_ELSEWHERE
    return ALREADY_ASKED if find_campaign_of_import(session, run.id) is not None else None


def count_unconfirmed(session: Session, run: ImportRun) -> int:
    """How many there are to be asked now: read by the import's own rows."""
    people = _select_unconfirmed(run).subquery()
    return session.scalar(select(func.count()).select_from(people)) or 0


def max_campaign_duration(unconfirmed: timedelta) -> timedelta:
    """How long an asking may take where pending people lapse so long after being asked.

    Half of that: nobody is to lapse while they wait for their turn, even if it pauses for a while.
    """
    return min(MAX_CAMPAIGN_DURATION, unconfirmed / 2)


def min_per_hour(people: int, within: timedelta) -> int:
    """The slowest pace that so many can be asked at in that time."""
    hours = within.total_seconds() / 3600
    return min(MAX_MAILS_PER_HOUR, max(MIN_MAILS_PER_HOUR, -int(-people // hours)))


def draft_import_confirmation(mail_writer: MailWriter, run: ImportRun) -> Message:
    """What they would get."""
    return write_imported_repermission_message(mail_writer, run.mailing_list, run.consent_source)


def start_import_repermission(
    session: Session,
    run: ImportRun,
    mail_writer: MailWriter,
    per_hour: int,
    terms: SendTerms,
    *,
    now: datetime,
) -> RepermissionCampaign:
    """Ask everyone of an import who is pending, once. Their time to answer begins with their mail.

    `run` is locked, and `terms.max_delay` is how long the whole may take. Who is suppressed, has left,
    or has asked by themselves is not asked. Raises Conflict where they cannot be asked, Invalid for
    a pace that is too slow or too fast.
    """
    if problem := find_repermission_obstacle(session, run):
        raise Conflict(problem)
    people = count_unconfirmed(session, run)
    if not people:
        raise Conflict(NOBODY_UNCONFIRMED)
    check_per_hour(per_hour, people, terms.max_delay)
    mailing_list = session.get_one(MailingList, run.list_id)
    edition = freeze_repermission_edition(
        session, mailing_list, draft_import_confirmation(mail_writer, run), now=now
    )
    if edition is None:
        raise Conflict("Another question to this list was begun this very second. Press again.")
    question = RepermissionSettings(
        RepermissionKind.CONFIRM,
        per_hour,
        activity_since=run.started_at or run.created_at,
        import_run_id=run.id,
    )
    return start_campaign(
        session, edition, question, terms, among=_select_unconfirmed(run), now=now
    )


def check_per_hour(per_hour: int, people: int, within: timedelta) -> None:
    """Raises Invalid, for the field `per_hour`."""
    least = min_per_hour(people, within)
    if per_hour < least:
        why = (
            f"At fewer than {least:,} an hour it would take over {within.days} days."
            if least > MIN_MAILS_PER_HOUR
            else f"Choose {MIN_MAILS_PER_HOUR} an hour or more."
        )
        raise Invalid({"per_hour": why})
    if per_hour > MAX_MAILS_PER_HOUR:
        raise Invalid({"per_hour": f"At most {MAX_MAILS_PER_HOUR:,} an hour."})


def _select_unconfirmed(run: ImportRun) -> Select[*tuple[int]]:
    """Who came by a run and is pending still, is not suppressed and has not asked themselves."""
    return (
        select(ImportedSubscription.subscriber_id)
        .join(Subscriber, Subscriber.id == ImportedSubscription.subscriber_id)
        .join(
            Subscription,
            (Subscription.subscriber_id == ImportedSubscription.subscriber_id)
            & (Subscription.list_id == run.list_id),
        )
        .outerjoin(Suppression, Suppression.canonical == Subscriber.canonical)
        .where(
            ImportedSubscription.import_id == run.id,
            ImportedSubscription.state_after == SubscriptionState.PENDING,
            Subscription.state == SubscriptionState.PENDING,
            Suppression.canonical.is_(None),
            ~_signed_up_themselves(run),
        )
    )


def _signed_up_themselves(run: ImportRun) -> ColumnElement[bool]:
    return (
        select(Consent.id)
        .where(
            Consent.subscriber_id == ImportedSubscription.subscriber_id,
            Consent.list_id == run.list_id,
            Consent.action == ConsentAction.REQUESTED,
            Consent.at >= (run.started_at or run.created_at),
        )
        .exists()
    )
