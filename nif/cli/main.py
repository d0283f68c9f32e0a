"""The command `nif` and its groups of commands."""

import sys

import click

from nif.cli import (
    accounts,
    database,
    demo,
    editions,
    events,
    ledger,
    lists,
    processes,
    retention,
    sends,
    subscribers,
    suppressions,
)
from nif.errors import NifError


class NifGroup(click.Group):
    """Prints a rule's refusal as one sentence, and ends with status 1."""

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except NifError as error:
            click.echo(f"nif: {error}", err=True)
            context.exit(1)


@click.group(cls=NifGroup, context_settings={"help_option_names": ["-h", "--help"]})
def nif() -> None:
    """New Industry Focus: stories with disclosures, newsletters delivered exactly once."""


INSTALLATION_MODULES = (processes, database, demo, accounts, ledger)
SUBSCRIBER_MODULES = (lists, subscribers, retention)
MAIL_MODULES = (editions, editions, sends, events, suppressions)

for module in (*INSTALLATION_MODULES, *SUBSCRIBER_MODULES, *MAIL_MODULES):
    for command in module.COMMANDS:
        nif.add_command(command)


def main() -> None:
    """The entry point. Results go to standard output, everything else to standard error."""
    sys.exit(nif())
