"""What the commands share: services, the audit log's actor, and how results are printed."""

import json
from datetime import UTC, datetime
from typing import Any

import click

from nif.accounts.audit_log import SystemActor
from nif.app import check_database
from nif.logs import configure_logging
from nif.services import Services, build_services
from nif.settings import load_settings

OPERATOR = SystemActor("the command line")

json_option = click.option("--json", "in_json", is_flag=True, help="Print one line of JSON.")


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


def print_result(result: dict[str, Any], *, in_json: bool) -> None:
    """Print a result: one line of JSON, or a line for each entry."""
    if in_json:
        click.echo(json.dumps(result, default=str))
        return
    width = max(map(len, result), default=0)
    for name, value in result.items():
        click.echo(f"{name.replace('_', ' '):<{width}}  {value}")


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
