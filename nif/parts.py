"""What every door works with, made once from the settings."""

from dataclasses import dataclass, replace
from datetime import timedelta

from nif.clock import utc_now
from nif.database import Database
from nif.editions.writing import Desk
from nif.links import Links
from nif.mail.mailer import Mailer
from nif.mail.outbox import OutboxMailer
from nif.mail.rendering import Stationery
from nif.mail.sendgrid import SendGridMailer
from nif.media.storing import Storage, open_storage
from nif.queue import Queue
from nif.rights.retaining import Times
from nif.sends.courier import Courier
from nif.sends.pacing import Limits
from nif.sends.planning import Terms
from nif.sends.reconciling import Patience
from nif.settings import MailerName, Settings
from nif.signups.answering import Pen
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
    storage: Storage

    @property
    def desk(self) -> Desk:
        return Desk(self.stationery, self.links)

    @property
    def pen(self) -> Pen:
        return Pen(self.stationery, self.links, self.tokens)

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
            limits=Limits(
                self.settings.send_rate, self.settings.send_per_day, self.settings.send_warm_up_from
            ),
            fence_ahead=self.settings.send_fence_ahead if self.settings.send_fence else None,
        )

    @property
    def terms(self) -> Terms:
        """How a send goes that nobody has to press a button for."""
        return Terms(self.settings.send_batch_size, within=self.settings.send_within)

    @property
    def terms_by_hand(self) -> Terms:
        return replace(self.terms, undo=self.settings.send_undo)

    @property
    def times(self) -> Times:
        """How long is kept what belongs to readers."""
        return Times(
            unconfirmed=timedelta(days=self.settings.keep_unconfirmed_days),
            events=timedelta(days=self.settings.keep_events_days),
            networks=timedelta(days=self.settings.keep_networks_days),
        )

    @property
    def patience(self) -> Patience:
        return Patience(
            self.settings.send_quiet_period, recall_before=self.settings.send_recall_before
        )


def assemble(settings: Settings) -> Parts:
    """Join the parts. Nothing is started, and nothing is asked of the network."""
    database = Database(settings.database, settings.keys, zone=settings.time_zone)
    return Parts(
        settings=settings,
        database=database,
        queue=Queue(settings.queue, settings.keys[0]),
        mailer=_mailer(settings, database),
        stationery=Stationery(settings),
        links=Links(settings.base_url, settings.media_base_url),
        tokens=Tokens(settings.keys),
        storage=open_storage(settings),
    )


def _mailer(settings: Settings, database: Database) -> Mailer:
    if settings.mailer is MailerName.OUTBOX:
        return OutboxMailer(database.transaction)
    return SendGridMailer(
        settings.sendgrid_api_key.get_secret_value(),
        settings.sendgrid_host,
        connections=settings.send_concurrency + 2,
    )
