"""nif edition and nif digest: send or test an edition, see which digests are due."""

from datetime import datetime

import click
from sqlalchemy.orm import Session

from nif.accounts.audit_log import record_audit_entry
from nif.cli.common import (
    OPERATOR,
    MomentType,
    json_option,
    load_services,
    print_result,
    prints_json,
)
from nif.clock import utc_now
from nif.database import get_row
from nif.editions.digest import (
    LIST_IS_ARCHIVED,
    compose_digest,
    make_digest_again,
    make_digest_now,
    next_slot_of_list,
)
from nif.editions.messages import build_test_message
from nif.editions.models import Edition, EditionState
from nif.errors import Conflict, NotAllowed
from nif.jobs.worker import Worker
from nif.mail.addresses import parse_address
from nif.mail.transactional import queue_transactional_email
from nif.sends.planning import plan_manual_send
from nif.subscriptions.lists import get_list


@click.group("edition")
def edition() -> None:
    """Editions: send or test one by hand, or make one again."""


@edition.command()
@click.argument("edition_id", type=int, metavar="[ID]", required=False)
@click.option("--list", "slug", help="Make today's edition of this list and send it.")
@click.option("--at", type=MomentType(), default=None, help="Do not send before this moment.")
@json_option
def send(edition_id: int | None, slug: str | None, at: datetime | None) -> None:
    """Send a frozen edition that was not sent yet, or today's edition of a list."""
    if (edition_id is None) == (slug is None):
        raise click.UsageError("Give either the id of an edition or --list.")
    services, now = load_services(), utc_now()
    with services.database.transaction() as session:
        if slug is not None:
            found = make_digest_now(session, get_list(session, slug), services.mail_writer, now=now)
        else:
            found = _get_edition(session, edition_id or 0)
        planned = plan_manual_send(
            session, found, services.manual_send_terms, at=at or now, now=now
        )
    services.queue.wake("start_deliveries")
    facts = {"audience": planned.audience, "starts_at": planned.starts_at}
    print_result({"send": planned.id, "edition": found.id, **facts})


@edition.command()
@click.argument("edition_id", type=int, metavar="ID")
@json_option
def again(edition_id: int) -> None:
    """Make a digest again that was cancelled or undone before anything left, and send it."""
    services, now = load_services(), utc_now()
    with services.database.transaction() as session:
        taken_back = get_row(session, Edition, edition_id, "There is no such edition.")
        made = make_digest_again(session, taken_back, services.mail_writer, now=now)
        planned = plan_manual_send(session, made, services.manual_send_terms, at=now, now=now)
        detail = {"list": made.mailing_list.slug, "slot": str(made.slot)}
        action = ("digest_made_again", "send", planned.id)
        record_audit_entry(session, OPERATOR, *action, detail=detail, now=now)
    services.queue.wake("start_deliveries")
    facts = {"audience": planned.audience, "starts_at": planned.starts_at}
    print_result({"send": planned.id, "edition": made.id, **facts})


@edition.command()
@click.argument("edition_id", type=int, metavar="ID")
@click.option("--to", "address", required=True, help="The address that gets the copy.")
@json_option
def test(edition_id: int, address: str) -> None:
    """Send a test copy of a frozen edition to one address; its links act for nobody."""
    to = parse_address(address).written
    services = load_services()
    with services.database.transaction() as session:
        found = _get_edition(session, edition_id)
        sender = services.sender.under(found.mailing_list.sender_name)
        message = build_test_message(found.as_message().sent_by(sender), to, services.links)
        queue_transactional_email(session, to, message, now=utc_now())
    services.queue.wake("send_transactional_emails")
    print_result({"edition": edition_id, "to": to, "subject": message.subject})


def _get_edition(session: Session, edition_id: int) -> Edition:
    """Raises NotFound, and Conflict for an edition that is not frozen."""
    found = get_row(session, Edition, edition_id, "There is no such edition.")
    if found.state is not EditionState.FROZEN:
        raise Conflict(f"This edition is {found.state.value}, so it cannot be sent.")
    return found


@click.group("digest")
def digest() -> None:
    """Digests: what is due, and what comes next."""


@digest.command()
@click.option(
    "--now", "moment", type=MomentType(), default=None, help="Act as if it were this moment."
)
@json_option
def due(moment: datetime | None) -> None:
    """Compose and freeze the digests that are due; a worker sends them."""
    services = load_services()
    if moment and moment > utc_now() and services.settings.in_production:
        raise NotAllowed(
            "--now may not be in the future: the slots until then would count as done."
        )
    composed = Worker(services).make_digests_until(moment or utc_now())
    if not composed and not prints_json():
        click.echo("No digest is due.")
    for edition in composed:
        print_result(edition)


@digest.command()
@click.option("--list", "slug", required=True)
@json_option
def preview(slug: str) -> None:
    """Show what a list's next digest would contain if it were composed now."""
    services = load_services()
    now = utc_now()
    with services.database.reading() as session:
        mailing_list = get_list(session, slug)
        if mailing_list.archived_at is not None:
            raise Conflict(LIST_IS_ARCHIVED)
        slot = next_slot_of_list(mailing_list, now=now)
        draft = compose_digest(session, mailing_list, slot, services.mail_writer, now=now)
    subject = draft.message.subject if draft.message else "no new stories: nothing will be sent"
    headlines = [story.headline for story in draft.stories]
    print_result({"due": slot.due_at, "subject": subject, "stories": headlines})
