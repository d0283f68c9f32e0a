"""nif list …"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click

from nif.accounts.audit_log import SystemActor, describe_change, record_audit_entry
from nif.cli.common import json_option, load_services, print_result
from nif.clock import utc_now
from nif.editions.digest import next_slot_of_list
from nif.editions.schedule import parse_schedule
from nif.errors import Invalid
from nif.stories.publishing import invalidate_pages
from nif.stories.tags import parse_tags
from nif.subscriptions.lists import (
    ListSettings,
    create_list,
    get_list,
    settings_of_list,
    unarchive_list,
    update_list,
)
from nif.subscriptions.lists import archive_list as end
from nif.subscriptions.models import MailingList

OPERATOR = SystemActor("the command line")

Command = Callable[..., Any]


@click.group("list")
def list_group() -> None:
    """Mailing lists."""


def list_options(command: Command) -> Command:
    """The options that founding a list and changing it share; None is what was not given."""
    for option in reversed(
        (
            click.option("--description", help="one sentence for readers"),
            click.option("--sender-name", help="the name that its mails come from"),
            click.option("--language", help="a tag such as en-GB; empty for the house's"),
            click.option(
                "--topics", "tags", help="names of topics, with commas; empty for all stories"
            ),
            click.option("--shown/--hidden", "is_shown", default=None, help="offered on the site?"),
            click.option(
                "--family", help="lists of one family are offered as one choice of how often"
            ),
        )
    ):
        command = option(command)
    return command


@list_group.command()
@click.option("--slug", required=True)
@click.option("--title", required=True)
@click.option("--schedule", required=True, help="'daily 07:30' or 'weekly fri 08:00'")
@click.option("--zone", required=True, help="a time zone, such as Europe/London")
@list_options
@json_option
def create(in_json: bool, slug: str, title: str, schedule: str, zone: str, **given: Any) -> None:
    """Found a mailing list."""
    services, now = load_services(), utc_now()
    blank = ListSettings(slug, title, str(parse_schedule(schedule)), zone)
    with services.database.transaction() as session:
        new = create_list(session, replace(blank, **_read_options(session, given)), now=now)
        record_audit_entry(
            session, OPERATOR, "list_created", subject_kind="list", subject_id=slug, now=now
        )
        invalidate_pages(session)
    print_result(_list_as_data(new), in_json=in_json)


@list_group.command()
@click.argument("slug")
@click.option("--title")
@click.option("--schedule", help="'daily 07:30' or 'weekly fri 08:00'")
@click.option("--zone", help="a time zone, such as Europe/London")
@list_options
@json_option
def edit(in_json: bool, slug: str, **given: Any) -> None:
    """Change what is given of a list, and leave the rest as it is."""
    services, now = load_services(), utc_now()
    with services.database.transaction() as session:
        mailing_list = get_list(session, slug)
        charter = replace(settings_of_list(mailing_list), **_read_options(session, given))
        version = mailing_list.version
        found = update_list(session, mailing_list, charter, version=version, now=now)
        if found:
            detail = {name: describe_change(*map(_joined, pair)) for name, pair in found.items()}
            record_audit_entry(
                session,
                OPERATOR,
                "list_changed",
                subject_kind="list",
                subject_id=slug,
                detail=detail,
                now=now,
            )
            invalidate_pages(session)
    print_result({**_list_as_data(mailing_list), "changed": sorted(found)}, in_json=in_json)


@list_group.command()
@click.argument("slug")
@click.option("--take-back", "back", is_flag=True, help="have an archived list go on")
@json_option
def archive(in_json: bool, slug: str, back: bool) -> None:
    """End a list: no digest goes out, nobody can join, readers stay as they are."""
    services, now = load_services(), utc_now()
    with services.database.transaction() as session:
        mailing_list = get_list(session, slug)
        (unarchive_list if back else end)(session, mailing_list, now=now)
        what = "list_unarchived" if back else "list_archived"
        record_audit_entry(session, OPERATOR, what, subject_kind="list", subject_id=slug, now=now)
        invalidate_pages(session)
    print_result(_list_as_data(mailing_list), in_json=in_json)


def _read_options(session: Any, given: dict[str, Any]) -> dict[str, Any]:
    """What of a charter was given. Raises Invalid."""
    found = {name: value for name, value in given.items() if value is not None}
    if "schedule" in found:
        found["schedule"] = str(parse_schedule(found["schedule"]))
    if "tags" in found:
        found["tags"] = parse_tags(session, found["tags"])
    if "family" in found:
        found["family"] = found["family"] or None
    if not all(str(value).isprintable() for value in found.values()):
        raise Invalid({"title": "Everything is one line of plain characters."})
    return found


def _list_as_data(mailing_list: MailingList) -> dict[str, Any]:
    """A list as a command reports it."""
    charter = vars(settings_of_list(mailing_list))
    ended = mailing_list.archived_at
    due = None if ended else next_slot_of_list(mailing_list, now=utc_now()).due_at
    told = {"list": charter.pop("slug"), **charter, "tags": list(mailing_list.tags)}
    return {**told, "next_slot": due, "archived_at": ended, "readers": mailing_list.confirmed_count}


def _joined(value: Any) -> Any:
    return ", ".join(value) if isinstance(value, tuple) else value


COMMANDS = (list_group,)
