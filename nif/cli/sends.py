"""nif send …, nif events …"""

from dataclasses import asdict

import click

from nif.cli.common import as_json, parts_of_this_house, show
from nif.clock import utc_now
from nif.jobs import Worker
from nif.sends import certifying, feedback, steering


@click.group("send")
def send() -> None:
    """Editions on their way."""


@send.command()
@click.argument("send_id", type=int)
@as_json
def status(send_id: int, in_json: bool) -> None:
    """How far a send is, in figures that add up."""
    with parts_of_this_house().database.reading() as session:
        found = steering.get_send(session, send_id)
        figures = asdict(certifying.tally(session, found))
        trouble = found.trouble or ""
    show({"state": found.state.value, **figures, "trouble": trouble}, in_json=in_json)


@send.command()
@click.argument("send_id", type=int)
def pause(send_id: int) -> None:
    """Post no more batches."""
    with parts_of_this_house().database.transaction() as session:
        steering.pause(session, steering.get_send(session, send_id))
    click.echo("Paused. What was under way settles.")


@send.command()
@click.argument("send_id", type=int)
def resume(send_id: int) -> None:
    """Go on, and try at once where the send was waiting."""
    with parts_of_this_house().database.transaction() as session:
        steering.resume(session, steering.get_send(session, send_id))
    click.echo("Going on.")


@send.command()
@click.argument("send_id", type=int)
@click.confirmation_option(prompt="Mail nobody more of this send?")
def cancel(send_id: int) -> None:
    """End a send; what has left has left."""
    with parts_of_this_house().database.transaction() as session:
        steering.cancel(session, steering.get_send(session, send_id), now=utc_now())
    click.echo("Cancelled. Nobody more is mailed.")


@send.command()
@click.argument("send_id", type=int)
@click.option("--batch", "batch_id", type=int, required=True)
@click.option("--as", "as_", type=click.Choice(["accepted", "unsent"]), required=True)
def resolve(send_id: int, batch_id: int, as_: str) -> None:
    """Decide about a batch of which nobody knows whether it was taken."""
    with parts_of_this_house().database.transaction() as session:
        found = steering.get_send(session, send_id)
        attempt_id = certifying.attempt_in_doubt(session, found, batch_id)
        accepted = as_ == "accepted"
        steering.resolve(session, found, batch_id, attempt_id, accepted=accepted, now=utc_now())
    click.echo("Noted.")


@click.group("events")
def events() -> None:
    """What the provider reports."""


@events.command()
def drain() -> None:
    """Process what the webhook has taken in."""
    parts = parts_of_this_house()
    with parts.database.transaction() as session:
        feedback.take_up_again(session)
    Worker(parts).events()
    click.echo("The tray is empty.")


COMMANDS = (send, events)
