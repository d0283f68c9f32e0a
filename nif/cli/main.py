"""The command `nif`, and what all its commands share."""

import sys

import click

from nif.cli import (
    accounts,
    database,
    demo,
    digests,
    editions,
    events,
    ledger,
    lists,
    processes,
    retention,
    sends,
    subscriber,
    subscribers,
    suppressions,
)
from nif.errors import NifError


class NifGroup(click.Group):
    """Ends with one sentence and status 1 where a rule refuses."""

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except NifError as error:
            click.echo(f"nif: {error}", err=True)
            context.exit(1)


@click.group(cls=NifGroup, context_settings={"help_option_names": ["-h", "--help"]})
def nif() -> None:
    """New Industry Focus: stories that disclose, mail that arrives once."""


INSTALLATION_MODULES = (processes, database, demo, accounts, ledger)
SUBSCRIBER_MODULES = (lists, subscriber, subscribers, retention)
MAIL_MODULES = (digests, editions, sends, events, suppressions)

for module in (*INSTALLATION_MODULES, *SUBSCRIBER_MODULES, *MAIL_MODULES):
    for command in module.COMMANDS:
        nif.add_command(command)


def main() -> None:
    """The entry point; its standard output is for results, standard error for everything else."""
    sys.exit(nif())
