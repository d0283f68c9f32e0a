"""nif list …"""

import click

from nif.cli.common import as_json, parts_of_this_house, show
from nif.clock import utc_now
from nif.editions.composing import upcoming
from nif.editions.scheduling import read_schedule
from nif.stories.publishing import restock
from nif.subscriptions.establishing import Charter, establish


@click.group("list")
def list_() -> None:
    """Mailing lists."""


@list_.command()
@click.option("--slug", required=True)
@click.option("--title", required=True)
@click.option("--schedule", required=True, help="'daily 07:30' or 'weekly fri 08:00'")
@click.option("--zone", required=True, help="a time zone, such as Europe/London")
@click.option("--family", help="lists of one family are offered as one choice of how often")
@as_json
def create(in_json: bool, **charter: str) -> None:
    """Found a mailing list."""
    parts = parts_of_this_house()
    schedule = str(read_schedule(charter["schedule"]))
    now = utc_now()
    with parts.database.transaction() as session:
        new = establish(session, Charter(**{**charter, "schedule": schedule}), now=now)
        restock(session)
    due = upcoming(new, now=now).due_at
    show({"list": new.slug, "schedule": schedule, "next_slot": due}, in_json=in_json)


COMMANDS = (list_,)
