"""Re-permission mail to imported subscribers who did not confirm elsewhere: one mail to confirm."""

from datetime import datetime, timedelta

from sqlalchemy import Select, exists, select
from sqlalchemy.orm import Session

from nif.database import count_rows
from nif.editions.messages import freeze_repermission_edition, write_imported_repermission_message
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
"""The proposed rate: what a new sender address can send after ten days of warming up."""

MAX_CAMPAIGN_DURATION = timedelta(days=14)

NOBODY_UNCONFIRMED = "No subscriber of this import is pending."


def find_repermission_obstacle(session: Session, run: ImportRun) -> str | None:
    """A sentence that says why this import's subscribers cannot be asked; None if they can."""
    if run.state not in {ImportState.DONE, ImportState.STOPPED}:
        return "Only subscribers of a finished import can be asked: this one is not done."
    if run.confirmed_elsewhere:
        return "This import says that they confirmed elsewhere: there is nothing to confirm."
    if find_campaign_of_import(session, run.id) is not None:
        return "They have been asked already. Nobody is asked twice."
    return None


def count_unconfirmed(session: Session, run: ImportRun) -> int:
    """How many subscribers of the import would be asked now."""
    return count_rows(session, _select_unconfirmed(run))


def max_campaign_duration(keep_unconfirmed: timedelta) -> timedelta:
    """How long a campaign may take if pending subscribers are deleted after `keep_unconfirmed`.

    At most half of it, so that nobody is deleted before their turn, even if the send is paused for
    a while.
    """
    return min(MAX_CAMPAIGN_DURATION, keep_unconfirmed / 2)


def min_per_hour(people: int, within: timedelta) -> int:
    """The slowest hourly rate that mails so many people within that time."""
    hours = within.total_seconds() / 3600
    return min(MAX_MAILS_PER_HOUR, max(MIN_MAILS_PER_HOUR, -int(-people // hours)))


def draft_import_confirmation(mail_writer: MailWriter, run: ImportRun) -> Message:
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
    """Start a campaign that asks each pending subscriber of an import once to confirm.

    `run` is locked; `terms.max_delay` is how long the campaign may take. The time to confirm starts
    with each subscriber's mail. Subscribers who are suppressed, have unsubscribed or signed up
    themselves are not asked. Raises Conflict if they cannot be asked, Invalid for a rate out of
    bounds.
    """
    if obstacle := find_repermission_obstacle(session, run):
        raise Conflict(obstacle)
    people = count_unconfirmed(session, run)
    if not people:
        raise Conflict(NOBODY_UNCONFIRMED)
    check_per_hour(per_hour, people, terms.max_delay)
    mailing_list = session.get_one(MailingList, run.list_id)
    message = draft_import_confirmation(mail_writer, run)
    edition = freeze_repermission_edition(session, mailing_list, message, now=now)
    if edition is None:
        raise Conflict("Another mail to this list was started in this second. Press again.")
    settings = RepermissionSettings(
        RepermissionKind.CONFIRM,
        per_hour,
        activity_since=run.started_at or run.created_at,
        import_run_id=run.id,
    )
    return start_campaign(
        session, edition, settings, terms, only_ids=_select_unconfirmed(run), now=now
    )


def check_per_hour(per_hour: int, people: int, within: timedelta) -> None:
    """Raises Invalid, for the field `per_hour`."""
    minimum = min_per_hour(people, within)
    if per_hour < minimum:
        problem = (
            f"At fewer than {minimum:,} an hour it would take over {within.days} days."
            if minimum > MIN_MAILS_PER_HOUR
            else f"Choose {MIN_MAILS_PER_HOUR} an hour or more."
        )
        raise Invalid({"per_hour": problem})
    if per_hour > MAX_MAILS_PER_HOUR:
        raise Invalid({"per_hour": f"At most {MAX_MAILS_PER_HOUR:,} an hour."})


def _select_unconfirmed(run: ImportRun) -> Select[*tuple[int]]:
    """The subscribers that a run made pending and that still are, and may be mailed.

    Those who used a sign-up form since the import were mailed then.
    """
    signed_up_themselves = exists().where(
        Consent.subscriber_id == ImportedSubscription.subscriber_id,
        Consent.list_id == run.list_id,
        Consent.action == ConsentAction.REQUESTED,
        Consent.at >= (run.started_at or run.created_at),
    )
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
            ~signed_up_themselves,
        )
    )
