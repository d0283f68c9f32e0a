"""nif send …"""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any, TextIO

import click
from sqlalchemy.orm import Session

from nif.cli.common import as_json, parts_of_this_house, show
from nif.clock import utc_now
from nif.sends import braking, certifying, guarding, reading, steering
from nif.sends.exporting import csv_of, figures
from nif.sends.models import Send

Act = Callable[[Session, Send, datetime], None]
the_send = click.argument("send_id", type=int, metavar="ID")


@click.group("send")
def send() -> None:
    """Editions on their way."""


@send.command()
@the_send
@as_json
def status(send_id: int, in_json: bool) -> None:
    """How far a send is, in figures that add up."""
    with parts_of_this_house().database.reading() as session:
        found = steering.get_send(session, send_id)
        show(_status(session, found, utc_now()), in_json=in_json)


@send.command()
@the_send
@as_json
def pause(send_id: int, in_json: bool) -> None:
    """Post no more batches; what is under way settles."""
    _steer(send_id, lambda session, send, now: steering.pause(session, send), in_json)


@send.command()
@the_send
@as_json
def resume(send_id: int, in_json: bool) -> None:
    """Go on with a send that is paused, where it stopped."""
    _steer(send_id, lambda session, send, now: steering.resume(session, send, now=now), in_json)


@send.command()
@the_send
@click.confirmation_option(prompt="Mail nobody more of this send?")
@as_json
def cancel(send_id: int, in_json: bool) -> None:
    """End a send for good; what has left has left."""
    _steer(send_id, lambda session, send, now: steering.cancel(session, send, now=now), in_json)


@send.command("take-back")
@the_send
@as_json
def take_back(send_id: int, in_json: bool) -> None:
    """Undo a send of which nothing has left: its stories, or its note, wait for the next digest."""
    with parts_of_this_house().database.transaction() as session:
        steering.take_back(session, steering.get_send(session, send_id), now=utc_now())
    show({"send": send_id, "state": "taken back", "had_left": 0}, in_json=in_json)


@send.command()
@the_send
@click.option("--batch", "batch_id", type=int, required=True)
@click.option("--as", "as_", type=click.Choice(["accepted", "unsent"]), required=True)
@as_json
def resolve(send_id: int, batch_id: int, as_: str, in_json: bool) -> None:
    """Decide about a batch of which nobody knows whether it was taken."""

    def decide(session: Session, send: Send, now: datetime) -> None:
        attempt_id = reading.attempt_in_doubt(session, send, batch_id)
        accepted = as_ == "accepted"
        steering.resolve(session, send, batch_id, attempt_id, accepted=accepted, now=now)

    _steer(send_id, decide, in_json)


@send.command("try-now")
@as_json
def try_now(in_json: bool) -> None:
    """Where nothing may leave the house, have one batch tried at once."""
    parts = parts_of_this_house()
    with parts.database.transaction() as session:
        brake = braking.find_brake(session)
        why = brake.why if brake else "nothing: mail may leave"
        braking.try_now(session, now=utc_now())
    parts.queue.wake("sends")
    show({"tried": brake is not None, "stopped_by": why}, in_json=in_json)


@send.command()
@the_send
@click.option(
    "--people",
    type=click.File("w", encoding="utf-8", lazy=True),
    help="Write everyone to this file, as CSV.",
)
@as_json
def certificate(send_id: int, people: TextIO | None, in_json: bool) -> None:
    """What became of everyone, counted from every row; status 1 where it is not complete."""
    parts = parts_of_this_house()
    with parts.database.reading() as session:
        steering.get_send(session, send_id)
    made = certifying.certify(parts.database, send_id, now=utc_now())
    if people is not None:
        with parts.database.snapshot() as session:
            people.writelines(csv_of(certifying.people(session, send_id)))
    show(figures(made), in_json=in_json)
    if not made.is_complete:
        raise SystemExit(1)


def _status(session: Session, found: Send, now: datetime) -> dict[str, Any]:
    told = certifying.tally(session, found)
    pace = reading.pace(session, found, told, now=now)
    brake = braking.find_brake(session)
    return {
        "send": found.id,
        "list": found.mailing_list.slug,
        "slot": found.edition.slot,
        "occasion": found.edition.occasion,
        "state": found.state.value,
        **asdict(told),
        "balances": told.balances,
        "starts_at": found.starts_at,
        "not_after": found.not_after,
        "finished_at": found.finished_at,
        "per_second": round(pace.per_second, 1) if pace else None,
        "through_at": pace.through_at if pace else None,
        "cause": found.cause.value if found.cause else None,
        "trouble": found.trouble or "",
        "brake": brake.why if brake else None,
        "next_try_at": brake.closed_until if brake else None,
        "reported": guarding.reported(session, found.id),
    }


def _steer(send_id: int, act: Act, in_json: bool) -> None:
    """Do something to a send, wake the workers, and tell exactly how many copies had left."""
    parts = parts_of_this_house()
    with parts.database.transaction() as session:
        found = steering.get_send(session, send_id)
        act(session, found, utc_now())
        session.flush()
        told = certifying.tally(session, found)
        state = found.state.value
    parts.queue.wake("sends")
    left = {"had_left": told.accepted + told.uncertain, "uncertain": told.uncertain}
    show({"send": send_id, "state": state, **left, "audience": told.audience}, in_json=in_json)


COMMANDS = (send,)
