"""The command `nif` and its groups of commands."""

import sys

import click

from nif.cli import installation, ledger, lists, sends, subscribers
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


for command in (
    *(installation.run, installation.serve, installation.worker),
    *(installation.database_group, installation.demo, installation.account, ledger.ledger),
    *(lists.list_group, subscribers.subscriber, subscribers.retention),
    *(sends.digest, sends.edition, sends.send, sends.events, subscribers.suppressions),
):
    nif.add_command(command)


def main() -> None:
    """The entry point. Results go to standard output, everything else to standard error."""
    sys.exit(nif())
