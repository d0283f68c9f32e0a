"""nif list …"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click

from nif.accounts.auditing import Nobody, changed, note
from nif.cli.common import as_json, parts_of_this_house, show
from nif.clock import utc_now
from nif.editions.composing import upcoming
from nif.editions.scheduling import read_schedule
from nif.errors import Invalid
from nif.stories.publishing import restock
from nif.stories.topics import read_topics
from nif.subscriptions.archiving import archive as end
from nif.subscriptions.archiving import take_back
from nif.subscriptions.establishing import Charter, charter_of, establish, recharter
from nif.subscriptions.models import MailingList
from nif.subscriptions.reading import get_list

BY = Nobody("the command line")

Command = Callable[..., Any]


@click.group("list")
def list_() -> None:
    """Mailing lists."""


def told_with_options(command: Command) -> Command:
    """The options that founding a list and changing it share; None is what was not given."""
    for option in reversed(
        (
            click.option("--description", help="one sentence for readers"),
            click.option("--sender-name", help="the name that its mails come from"),
            click.option("--language", help="a tag such as en-GB; empty for the house's"),
            click.option("--topics", help="names of topics, with commas; empty for all stories"),
            click.option("--shown/--hidden", "is_shown", default=None, help="offered on the site?"),
            click.option(
                "--family", help="lists of one family are offered as one choice of how often"
            ),
        )
    ):
        command = option(command)
    return command


@list_.command()
@click.option("--slug", required=True)
@click.option("--title", required=True)
@click.option("--schedule", required=True, help="'daily 07:30' or 'weekly fri 08:00'")
@click.option("--zone", required=True, help="a time zone, such as Europe/London")
@told_with_options
@as_json
def create(in_json: bool, slug: str, title: str, schedule: str, zone: str, **given: Any) -> None:
    """Found a mailing list."""
    parts, now = parts_of_this_house(), utc_now()
    blank = Charter(slug, title, str(read_schedule(schedule)), zone)
    with parts.database.transaction() as session:
        new = establish(session, replace(blank, **_read(session, given)), now=now)
        note(session, BY, "list_created", kind="list", subject=slug, now=now)
        restock(session)
    show(_told(new), in_json=in_json)


@list_.command()
@click.argument("slug")
@click.option("--title")
@click.option("--schedule", help="'daily 07:30' or 'weekly fri 08:00'")
@click.option("--zone", help="a time zone, such as Europe/London")
@told_with_options
@as_json
def edit(in_json: bool, slug: str, **given: Any) -> None:
    """Change what is given of a list, and leave the rest as it is."""
    parts, now = parts_of_this_house(), utc_now()
    with parts.database.transaction() as session:
        mailing_list = get_list(session, slug)
        charter = replace(charter_of(mailing_list), **_read(session, given))
        edits = mailing_list.edits
        found = recharter(session, mailing_list, charter, edits=edits, now=now)
        if found:
            detail = {name: changed(*map(_in_words, pair)) for name, pair in found.items()}
            note(session, BY, "list_changed", kind="list", subject=slug, detail=detail, now=now)
            restock(session)
    show({**_told(mailing_list), "changed": sorted(found)}, in_json=in_json)


@list_.command()
@click.argument("slug")
@click.option("--take-back", "back", is_flag=True, help="have an archived list go on")
@as_json
def archive(in_json: bool, slug: str, back: bool) -> None:
    """End a list: no digest goes out, nobody can join, readers stay as they are."""
    parts, now = parts_of_this_house(), utc_now()
    with parts.database.transaction() as session:
        mailing_list = get_list(session, slug)
        (take_back if back else end)(session, mailing_list, now=now)
        what = "list_taken_back" if back else "list_archived"
        note(session, BY, what, kind="list", subject=slug, now=now)
        restock(session)
    show(_told(mailing_list), in_json=in_json)


def _read(session: Any, given: dict[str, Any]) -> dict[str, Any]:
    """What of a charter was given. Raises Invalid."""
    found = {name: value for name, value in given.items() if value is not None}
    if "schedule" in found:
        found["schedule"] = str(read_schedule(found["schedule"]))
    if "topics" in found:
        found["topics"] = read_topics(session, found["topics"])
    if "family" in found:
        found["family"] = found["family"] or None
    if not all(str(value).isprintable() for value in found.values()):
        raise Invalid({"title": "Everything is one line of plain characters."})
    return found


def _told(mailing_list: MailingList) -> dict[str, Any]:
    """A list as a command reports it."""
    charter = vars(charter_of(mailing_list))
    ended = mailing_list.archived_at
    due = None if ended else upcoming(mailing_list, now=utc_now()).due_at
    told = {"list": charter.pop("slug"), **charter, "topics": list(mailing_list.topics)}
    return {**told, "next_slot": due, "archived_at": ended, "readers": mailing_list.confirmed_count}


def _in_words(value: Any) -> Any:
    return ", ".join(value) if isinstance(value, tuple) else value


COMMANDS = (list_,)
