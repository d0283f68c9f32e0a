"""What the commands share: services, the audit log's actor, and how results are printed."""

import json
from datetime import UTC, datetime
from typing import Any

import click

from nif.accounts.audit_log import NamedActor
from nif.app import check_database
from nif.logs import configure_logging
from nif.services import Services, build_services
from nif.settings import load_settings

OPERATOR = NamedActor("the command line")
_JSON = "nif.cli.json"


def _remember_json(context: click.Context, _option: click.Parameter, given: bool) -> None:
    context.meta[_JSON] = given


json_option = click.option(
    "--json",
    is_flag=True,
    expose_value=False,
    callback=_remember_json,
    help="Print one line of JSON.",
)
"""For each command that prints its result by `print_result`."""


def prints_json() -> bool:
    """Was the command that runs given --json?"""
    return bool(click.get_current_context().meta.get(_JSON))


def print_result(result: dict[str, Any]) -> None:
    """Print a result: one line of JSON with --json, otherwise a line for each entry."""
    if prints_json():
        click.echo(json.dumps(result, default=str))
        return
    width = max(map(len, result), default=0)
    for name, value in result.items():
        click.echo(f"{name.replace('_', ' '):<{width}}  {value}")


def pick(source: object, *names: str) -> dict[str, Any]:
    """These attributes of an object, by name."""
    return {name: getattr(source, name) for name in names}


def load_services(*, checked: bool = True) -> Services:
    """The services for the environment's settings.

    Raises Misconfigured; with `checked`, also where the database's schema is out of date.
    """
    settings = load_settings()
    configure_logging(settings)
    services = build_services(settings)
    if checked:
        check_database(services)
    return services


class MomentType(click.ParamType[datetime]):
    """A moment as RFC 3339, such as 2026-11-22T07:30:00Z; UTC where it has no zone."""

    name = "moment"

    def convert(self, value: Any, param: Any, ctx: Any) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value} is not a moment such as 2026-11-22T07:30:00Z", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
