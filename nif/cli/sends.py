"""nif send …"""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any, TextIO

import click
from sqlalchemy.orm import Session

from nif.cli.common import json_option, load_services, print_result
from nif.clock import utc_now
from nif.sends import certificates, circuit_breaker, control, reports, reputation
from nif.sends.certificates import certificate_as_json, delivery_statuses_as_csv
from nif.sends.models import Send

SendAction = Callable[[Session, Send, datetime], None]
send_argument = click.argument("send_id", type=int, metavar="ID")


@click.group("send")
def send() -> None:
    """Editions on their way."""


@send.command()
@send_argument
@json_option
def show(send_id: int, in_json: bool) -> None:
    """How far a send is, in figures that add up."""
    with load_services().database.reading() as session:
        found = control.get_send(session, send_id)
        print_result(_send_as_data(session, found, utc_now()), in_json=in_json)


@send.command()
@send_argument
@json_option
def pause(send_id: int, in_json: bool) -> None:
    """Post no more batches; what is under way settles."""
    _control_send(send_id, lambda session, send, now: control.pause_send(session, send), in_json)


@send.command()
@send_argument
@json_option
def resume(send_id: int, in_json: bool) -> None:
    """Go on with a send that is paused, where it stopped."""
    _control_send(
        send_id, lambda session, send, now: control.resume_send(session, send, now=now), in_json
    )


@send.command()
@send_argument
@click.confirmation_option(prompt="Mail nobody more of this send?")
@json_option
def cancel(send_id: int, in_json: bool) -> None:
    """End a send for good; what has left has left."""
    _control_send(
        send_id, lambda session, send, now: control.cancel_send(session, send, now=now), in_json
    )


@send.command("take-back")
@send_argument
@json_option
def undo(send_id: int, in_json: bool) -> None:
    """Undo a send of which nothing has left: its stories, or its note, wait for the next digest."""
    with load_services().database.transaction() as session:
        control.undo_send(session, control.get_send(session, send_id), now=utc_now())
    print_result({"send": send_id, "state": "taken back", "had_left": 0}, in_json=in_json)


@send.command()
@send_argument
@click.option("--batch", "batch_id", type=int, required=True)
@click.option("--as", "as_", type=click.Choice(["accepted", "unsent"]), required=True)
@json_option
def resolve(send_id: int, batch_id: int, as_: str, in_json: bool) -> None:
    """Decide about a batch of which nobody knows whether it was taken."""

    def decide(session: Session, send: Send, now: datetime) -> None:
        attempt_id = reports.undecided_attempt_of(session, send, batch_id)
        accepted = as_ == "accepted"
        control.resolve_undecided_batch(
            session, send, batch_id, attempt_id, accepted=accepted, now=now
        )

    _control_send(send_id, decide, in_json)


@send.command("try-now")
@json_option
def probe(in_json: bool) -> None:
    """Where nothing may leave the house, have one batch tried at once."""
    services = load_services()
    with services.database.transaction() as session:
        brake = circuit_breaker.find_tripped_breaker(session)
        why = brake.reason if brake else "nothing: mail may leave"
        circuit_breaker.allow_breaker_probe_now(session, now=utc_now())
    services.queue.wake("sends")
    print_result({"tried": brake is not None, "stopped_by": why}, in_json=in_json)


@send.command()
@send_argument
@click.option(
    "--people",
    type=click.File("w", encoding="utf-8", lazy=True),
    help="Write everyone to this file, as CSV.",
)
@json_option
def certificate(send_id: int, people: TextIO | None, in_json: bool) -> None:
    """What became of everyone, counted from every row; status 1 where it is not complete."""
    services = load_services()
    with services.database.reading() as session:
        control.get_send(session, send_id)
    made = certificates.certify_send(services.database, send_id, now=utc_now())
    if people is not None:
        with services.database.snapshot() as session:
            people.writelines(
                delivery_statuses_as_csv(certificates.stream_delivery_statuses(session, send_id))
            )
    print_result(certificate_as_json(made), in_json=in_json)
    if not made.is_complete:
        raise SystemExit(1)


def _send_as_data(session: Session, found: Send, now: datetime) -> dict[str, Any]:
    told = certificates.count_deliveries(session, found)
    pace = reports.estimate_send_speed(session, found, told, now=now)
    brake = circuit_breaker.find_tripped_breaker(session)
    return {
        "send": found.id,
        "list": found.mailing_list.slug,
        "slot": found.edition.slot,
        "occasion": found.edition.occasion,
        "state": found.state.value,
        **asdict(told),
        "balances": told.adds_up,
        "starts_at": found.starts_at,
        "not_after": found.not_after,
        "finished_at": found.finished_at,
        "per_second": round(pace.per_second, 1) if pace else None,
        "through_at": pace.done_at if pace else None,
        "cause": found.stop_cause.value if found.stop_cause else None,
        "trouble": found.stop_detail or "",
        "brake": brake.reason if brake else None,
        "next_try_at": brake.retry_at if brake else None,
        "reported": reputation.count_send_events(session, found.id),
    }


def _control_send(send_id: int, act: SendAction, in_json: bool) -> None:
    """Do something to a send, wake the workers, and tell exactly how many copies had left."""
    services = load_services()
    with services.database.transaction() as session:
        found = control.get_send(session, send_id)
        act(session, found, utc_now())
        session.flush()
        told = certificates.count_deliveries(session, found)
        state = found.state.value
    services.queue.wake("sends")
    left = {"had_left": told.accepted + told.undecided, "uncertain": told.undecided}
    print_result(
        {"send": send_id, "state": state, **left, "audience": told.audience}, in_json=in_json
    )


COMMANDS = (send,)
