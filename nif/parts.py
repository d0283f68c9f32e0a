"""What every door works with, made once from the settings."""

from dataclasses import dataclass

from nif.clock import utc_now
from nif.database import Database
from nif.editions.writing import Desk
from nif.links import Links
from nif.mail.mailer import Mailer
from nif.mail.outbox import OutboxMailer
from nif.mail.rendering import Stationery
from nif.mail.sendgrid import SendGridMailer
from nif.queue import Queue
from nif.sends.delivering import Courier
from nif.settings import MailerName, Settings
from nif.tokens import Tokens


@dataclass(frozen=True)
class Parts:
    settings: Settings
    database: Database
    queue: Queue
    mailer: Mailer
    stationery: Stationery
    links: Links
    tokens: Tokens

    @property
    def desk(self) -> Desk:
        return Desk(self.stationery, self.links)

    @property
    def courier(self) -> Courier:
        return Courier(
            transaction=self.database.transaction,
            mailer=self.mailer,
            tokens=self.tokens,
            links=self.links,
            clock=utc_now,
            concurrency=self.settings.send_concurrency,
            lease=self.settings.send_lease,
        )


def assemble(settings: Settings) -> Parts:
    """Join the parts. Nothing is started, and nothing is asked of the network."""
    database = Database(settings.database)
    return Parts(
        settings=settings,
        database=database,
        queue=Queue(settings.queue, settings.keys[0]),
        mailer=_mailer(settings, database),
        stationery=Stationery(settings),
        links=Links(settings.base_url),
        tokens=Tokens(settings.keys),
    )


def _mailer(settings: Settings, database: Database) -> Mailer:
    if settings.mailer is MailerName.OUTBOX:
        return OutboxMailer(database.transaction)
    return SendGridMailer(
        settings.sendgrid_api_key.get_secret_value(),
        settings.sendgrid_host,
        connections=settings.send_concurrency + 2,
    )
