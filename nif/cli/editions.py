"""nif edition …: sending or testing an edition by hand."""

from datetime import datetime

import click
from sqlalchemy.orm import Session

from nif.cli.common import MomentType, json_option, load_services, print_result
from nif.clock import utc_now
from nif.editions.digest import make_digest_now
from nif.editions.messages import build_test_message
from nif.editions.models import Edition, EditionState
from nif.errors import Conflict, NotFound
from nif.mail.transactional import queue_transactional_email
from nif.sends.planning import plan_manual_send
from nif.subscriptions.email_address import parse_address
from nif.subscriptions.lists import get_list


@click.group("edition")
def edition() -> None:
    """Editions: send or test one by hand."""


@edition.command()
@click.argument("edition_id", type=int, metavar="[ID]", required=False)
@click.option("--list", "slug", help="Make today's edition of this list and send it.")
@click.option("--at", type=MomentType(), default=None, help="Do not send before this moment.")
@json_option
def send(edition_id: int | None, slug: str | None, at: datetime | None, in_json: bool) -> None:
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
        result = {
            "send": planned.id,
            "edition": found.id,
            "audience": planned.audience,
            "starts_at": planned.starts_at,
        }
    services.queue.wake("start_deliveries")
    print_result(result, in_json=in_json)


@edition.command()
@click.argument("edition_id", type=int, metavar="ID")
@click.option("--to", "address", required=True, help="The address that gets the copy.")
@json_option
def test(edition_id: int, address: str, in_json: bool) -> None:
    """Send a test copy of a frozen edition to one address; its links act for nobody."""
    to = parse_address(address).written
    services = load_services()
    with services.database.transaction() as session:
        message = build_test_message(
            _get_edition(session, edition_id).as_message(), to, services.links
        )
        queue_transactional_email(session, to, message, now=utc_now())
    services.queue.wake("send_transactional_emails")
    print_result({"edition": edition_id, "to": to, "subject": message.subject}, in_json=in_json)


def _get_edition(session: Session, edition_id: int) -> Edition:
    """Raises NotFound, and Conflict for an edition that is not frozen."""
    found = session.get(Edition, edition_id)
    if found is None:
        raise NotFound("There is no such edition.")
    if found.state is not EditionState.FROZEN:
        raise Conflict(f"This edition is {found.state.value}, so it cannot be sent.")
    return found


COMMANDS = (edition,)
