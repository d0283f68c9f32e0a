"""nif list …"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click

from nif.accounts.audit_log import describe_change, record_audit_entry
from nif.cli.common import OPERATOR, json_option, load_services, print_result
from nif.clock import utc_now
from nif.editions.digest import next_slot_of_list
from nif.editions.schedule import parse_schedule
from nif.errors import Invalid
from nif.sends.control import archive_list
from nif.stories.publishing import invalidate_pages
from nif.stories.queries import parse_tags
from nif.subscriptions import lists
from nif.subscriptions.models import MailingList


@click.group("list")
def list_group() -> None:
    """Mailing lists."""


SHARED_OPTIONS = {
    ("--description",): "One sentence for readers.",
    ("--sender-name",): "The name in From of its mails.",
    ("--language",): "A tag such as en-GB; empty for the site's language.",
    ("--topics", "tags"): "Names of topics, separated by commas; empty for all stories.",
    ("--shown/--hidden", "is_shown"): "Whether the site offers it.",
    ("--family",): "Lists of one family are offered as one choice: how often.",
}


def list_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that `create` and `edit` share; an option that is not given is None."""
    for names, explanation in reversed(SHARED_OPTIONS.items()):
        command = click.option(*names, default=None, help=explanation)(command)
    return command


@list_group.command()
@click.option("--slug", required=True)
@click.option("--title", required=True)
@click.option("--schedule", required=True, help="Such as 'daily 07:30' or 'weekly fri 08:00'.")
@click.option("--zone", required=True, help="A time zone, such as Europe/London.")
@list_options
@json_option
def create(slug: str, title: str, schedule: str, zone: str, **given: Any) -> None:
    """Create a mailing list."""
    services, now = load_services(), utc_now()
    defaults = lists.ListSettings(slug, title, str(parse_schedule(schedule)), zone)
    with services.database.transaction() as session:
        settings = replace(defaults, **_read_options(session, given))
        created = lists.create_list(session, settings, now=now)
        record_audit_entry(session, OPERATOR, "list_created", "list", slug, now=now)
        invalidate_pages(session)
    print_result(_list_as_data(created))


@list_group.command()
@click.argument("slug")
@click.option("--title")
@click.option("--schedule", help="Such as 'daily 07:30' or 'weekly fri 08:00'.")
@click.option("--zone", help="A time zone, such as Europe/London.")
@list_options
@json_option
def edit(slug: str, **given: Any) -> None:
    """Change a list's settings that are given as options, and leave the others as they are."""
    services, now = load_services(), utc_now()
    with services.database.transaction() as session:
        mailing_list = lists.get_list(session, slug)
        settings = lists.settings_of_list(mailing_list)
        settings = replace(settings, **_read_options(session, given))
        version = mailing_list.version
        changes = lists.update_list(session, mailing_list, settings, version=version, now=now)
        if changes:
            detail = {name: describe_change(*pair) for name, pair in changes.items()}
            record_audit_entry(
                session, OPERATOR, "list_changed", "list", slug, detail=detail, now=now
            )
            invalidate_pages(session)
    print_result({**_list_as_data(mailing_list), "changed": sorted(changes)})


@list_group.command()
@click.argument("slug")
@click.option("--undo", is_flag=True, help="Reopen an archived list.")
@json_option
def archive(slug: str, undo: bool) -> None:
    """Archive a list: no digests, no new subscribers; its sends under way are paused.

    Subscriptions stay as they are.
    """
    services, now = load_services(), utc_now()
    with services.database.transaction() as session:
        mailing_list = lists.get_list(session, slug)
        (lists.unarchive_list if undo else archive_list)(session, mailing_list, now=now)
        action = "list_unarchived" if undo else "list_archived"
        record_audit_entry(session, OPERATOR, action, "list", slug, now=now)
        invalidate_pages(session)
    print_result(_list_as_data(mailing_list))


def _read_options(session: Any, given: dict[str, Any]) -> dict[str, Any]:
    """The given options as fields of ListSettings. Raises Invalid."""
    fields = {name: value for name, value in given.items() if value is not None}
    if "schedule" in fields:
        fields["schedule"] = str(parse_schedule(fields["schedule"]))
    if "tags" in fields:
        fields["tags"] = parse_tags(session, fields["tags"])
    if "family" in fields:
        fields["family"] = fields["family"] or None
    if not all(str(value).isprintable() for value in fields.values()):
        raise Invalid({"title": "A value must be one line without control characters."})
    return fields


def _list_as_data(mailing_list: MailingList) -> dict[str, Any]:
    settings = dict(vars(lists.settings_of_list(mailing_list)))
    archived_at = mailing_list.archived_at
    due_at = None if archived_at else next_slot_of_list(mailing_list, now=utc_now()).due_at
    return {
        "list": settings.pop("slug"),
        **settings,
        "tags": list(mailing_list.tags),
        "next_slot": due_at,
        "archived_at": archived_at,
        "subscribers": mailing_list.confirmed_count,
    }
