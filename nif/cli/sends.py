"""nif edition, digest, send and events: editions, their sends, what the provider reported."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any, TextIO

import click
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nif.accounts.audit_log import record_audit_entry
from nif.cli.common import (
    OPERATOR,
    MomentType,
    json_option,
    load_services,
    pick,
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
from nif.sends import (
    certificates,
    circuit_breaker,
    control,
    departures,
    provider_events,
    reports,
    reputation,
)
from nif.sends.certificates import certificate_as_json, delivery_statuses_as_csv
from nif.sends.departures import Departures
from nif.sends.journal_reconciliation import reconcile_unknown_attempts
from nif.sends.models import ProviderEventPost, Send
from nif.sends.planning import plan_manual_send
from nif.sends.unknown_attempts import (
    DATABASE_WENT_BACK,
    UnknownAttempt,
    UnknownAttemptResolution,
    compare_with_journal,
    count_unknown_attempts,
    has_unknown_attempts,
    list_unknown_attempts,
)
from nif.subscriptions.lists import get_list

send_argument = click.argument("send_id", type=int, metavar="ID")


@click.group("send")
def send() -> None:
    """Sends: editions on their way to subscribers."""


@send.command()
@send_argument
@json_option
def show(send_id: int) -> None:
    """Show how far a send is, in counts that add up."""
    with load_services().database.reading() as session:
        found = control.get_send(session, send_id)
        print_result(_send_as_data(session, found, utc_now()))


@send.command()
@send_argument
@json_option
def pause(send_id: int) -> None:
    """Pause a send: no more batches are posted, and those in flight settle."""
    _control_send(send_id, control.pause_send)


@send.command()
@send_argument
@json_option
def resume(send_id: int) -> None:
    """Resume a paused send where it stopped."""
    _control_send(send_id, control.resume_send, now=utc_now())


@send.command()
@send_argument
@click.confirmation_option(prompt="Send the rest this edition without its withdrawn stories?")
@json_option
def refreeze(send_id: int) -> None:
    """Freeze a send's edition again for the rest, without the stories withdrawn since."""
    _control_send(send_id, control.refreeze_send, load_services().mail_writer, now=utc_now())


@send.command()
@send_argument
@click.confirmation_option(prompt="Send this edition to nobody else?")
@json_option
def cancel(send_id: int) -> None:
    """Cancel a send for good. Of what was posted, only mail behind a fence is recalled."""
    _control_send(send_id, control.cancel_send, now=utc_now())


@send.command()
@send_argument
@json_option
def undo(send_id: int) -> None:
    """Undo a send before any mail was posted; its stories wait for the next digest."""
    with load_services().database.transaction() as session:
        control.undo_send(session, control.get_send(session, send_id), now=utc_now())
    print_result({"send": send_id, "state": "undone", "posted": 0})


@send.command()
@send_argument
@click.option("--batch", "batch_id", type=int, required=True)
@click.option("--as", "resolution", type=click.Choice(["accepted", "not-sent"]), required=True)
@json_option
def resolve(send_id: int, batch_id: int, resolution: str) -> None:
    """Decide whether an undecided batch was accepted by the provider or not sent."""

    def decide(session: Session, send: Send, **decision: Any) -> None:
        attempt_id = reports.undecided_attempt_of(session, send, batch_id)
        control.resolve_undecided_batch(session, send, batch_id, attempt_id, **decision)

    _control_send(send_id, decide, accepted=resolution == "accepted", now=utc_now())


@send.command()
@json_option
def probe() -> None:
    """While the circuit breaker stops all mail, try one batch now."""
    services = load_services()
    with services.database.transaction() as session:
        breaker = circuit_breaker.find_tripped_breaker(session)
        reason = breaker.reason if breaker else "nothing: sending is not stopped"
        circuit_breaker.allow_breaker_probe_now(session, now=utc_now())
    services.queue.wake("start_deliveries")
    print_result({"probed": breaker is not None, "stopped_by": reason})


@send.command()
@send_argument
@click.option(
    "--people",
    type=click.File("w", encoding="utf-8", lazy=True),
    help="Write every delivery to this file, as CSV.",
)
@json_option
def certificate(send_id: int, people: TextIO | None) -> None:
    """Account for every delivery, counted row by row. Status 1 where it is not complete."""
    services = load_services()
    with services.database.reading() as session:
        control.get_send(session, send_id)
    certified = certificates.certify_send(services.database, send_id, now=utc_now())
    if people is not None:
        with services.database.snapshot() as session:
            people.writelines(
                delivery_statuses_as_csv(certificates.stream_delivery_statuses(session, send_id))
            )
    print_result(certificate_as_json(certified))
    if not certified.is_complete:
        raise SystemExit(1)


@send.command("reconcile-journal")
@click.option(
    "--as",
    "resolution",
    type=click.Choice([each.value for each in UnknownAttemptResolution]),
    help="Settle them: accepted where you know that they were sent, uncertain where you do not.",
)
@json_option
def reconcile_journal(resolution: str | None) -> None:
    """List what was posted and the database does not know; with --as, settle it.

    Nothing is sent until it is settled. Without --as nothing is changed: status 1 where something
    is listed. An attempt of which an event came in counts as accepted, whatever --as says. Slots
    that the database does not know count as sent.
    """
    services = load_services()
    now = utc_now()
    with services.database.transaction() as session:
        if services.journal is not None:
            compare_with_journal(session, services.journal, now=now)
    with services.database.transaction() as session:
        unknown = list_unknown_attempts(session)
        if resolution is not None:
            word = UnknownAttemptResolution(resolution)
            reconcile_unknown_attempts(session, word, now=now)
        listed = [_unknown_as_data(one) for one in unknown]
    services.queue.wake("start_deliveries")
    if prints_json():
        print_result({"unknown": listed, "settled_as": resolution})
    else:
        for number, one in enumerate(listed, start=1):
            print_result({"number": number, **one})
        settled = f", settled as {resolution}" if resolution else ""
        click.echo(f"{len(listed)} unknown attempts{settled}")
    if listed and resolution is None:
        raise SystemExit(1)


def _unknown_as_data(one: UnknownAttempt) -> dict[str, Any]:
    return {
        "attempt": one.id,
        "known_by": one.source.value,
        **pick(one, "send_id", "list_slug", "slot", "occasion"),
        **pick(one, "first_subscriber_id", "last_subscriber_id", "copies", "started_at", "events"),
    }


def _send_as_data(session: Session, found: Send, now: datetime) -> dict[str, Any]:
    counts = certificates.count_deliveries(session, found)
    out = departures.count_departures(session, found, now=now)
    speed = reports.estimate_send_speed(session, found, counts, now=now)
    breaker = circuit_breaker.find_tripped_breaker(session)
    events = reputation.count_send_events(session, found.id)
    health = reputation.mail_health_of_send(events)
    return {
        "send": found.id,
        "list": found.mailing_list.slug,
        "slot": found.edition.slot,
        "occasion": found.edition.occasion,
        "state": found.state.value,
        **asdict(counts),
        "adds_up": counts.adds_up,
        **_departures_as_data(out),
        **pick(found, "starts_at", "not_after", "finished_at"),
        "per_second": round(speed.per_second, 1) if speed else None,
        "done_at": speed.done_at if speed else None,
        "stop_cause": found.stop_cause,
        "stop_detail": found.stop_detail or "",
        "withdrawn": [str(story) for story in control.list_withdrawn_ahead(session, found)],
        "version": found.edition.version,
        "circuit_breaker": breaker.reason if breaker else None,
        "retry_at": breaker.retry_at if breaker else None,
        "unknown_attempts": count_unknown_attempts(session, found.id),
        "stopped_because": DATABASE_WENT_BACK if has_unknown_attempts(session) else None,
        "events": events,
        "complaints": health.complaints.level.value,
        "bounces": health.bounces.level.value,
    }


def _control_send(send_id: int, action: Callable[..., object], *inputs: Any, **values: Any) -> None:
    """Apply `action` to a send, wake the workers, and report how many copies have left."""
    services = load_services()
    with services.database.transaction() as session:
        found = control.get_send(session, send_id)
        action(session, found, *inputs, **values)
        session.flush()
        counts = certificates.count_deliveries(session, found)
        out = departures.count_departures(session, found, now=utc_now())
    services.queue.wake("start_deliveries")
    result = {"send": send_id, "state": found.state.value, **_departures_as_data(out)}
    print_result({**result, **pick(counts, "undecided", "audience")})


def _departures_as_data(out: Departures) -> dict[str, int]:
    """How many copies have left: at least and, with what may still leave, at most how many."""
    return {
        "left_at_least": out.at_least,
        "left_at_most": out.at_most,
        **pick(out, "waiting", "recalled", "not_yet_delivered", "twice"),
    }


@click.group()
def events() -> None:
    """Events that the provider reported."""


@events.command()
@json_option
def drain() -> None:
    """Process the events that the webhook received, and retry the posts that failed."""
    services = load_services()
    count = select(func.count()).select_from(ProviderEventPost)
    before = services.database.fetch_value(count)
    with services.database.transaction() as session:
        provider_events.retry_failed_event_posts(session)
    Worker(services).run("process_events")
    failed = services.database.fetch_value(count.where(ProviderEventPost.error.is_not(None)))
    print_result({"posts": before, "processed": before - failed, "failed": failed})


@click.group("edition")
def edition() -> None:
    """Editions: send or test one by hand, or make one again."""


@edition.command("send")
@click.argument("edition_id", type=int, metavar="[ID]", required=False)
@click.option("--list", "slug", help="Make today's edition of this list and send it.")
@click.option("--at", type=MomentType(), default=None, help="Do not send before this moment.")
@json_option
def send_edition(edition_id: int | None, slug: str | None, at: datetime | None) -> None:
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
