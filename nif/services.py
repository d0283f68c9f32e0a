"""The services that web, worker and commands share, built once from the settings."""

from dataclasses import dataclass, replace
from datetime import timedelta

from nif.clock import utc_now
from nif.database import Database
from nif.links import Links
from nif.mail.message import MailWriter, Sender, TemplateRenderer
from nif.mail.outbox import OutboxMailer
from nif.mail.provider import Mailer
from nif.mail.sendgrid import SendGridMailer
from nif.media.storage import MediaStorage, open_media_storage
from nif.privacy.retention import RetentionPeriods
from nif.queue import WakeQueue
from nif.sends.delivery import DeliveryContext
from nif.sends.evidence import ReconciliationTiming
from nif.sends.journal import Journal, open_journal
from nif.sends.planning import SendTerms
from nif.sends.send_quota import SendLimits
from nif.settings import MailerName, Settings
from nif.tokens import Tokens, installation_id


@dataclass(frozen=True)
class Services:
    settings: Settings
    database: Database
    queue: WakeQueue
    mailer: Mailer
    renderer: TemplateRenderer
    links: Links
    tokens: Tokens
    storage: MediaStorage
    journal: Journal | None

    @property
    def mail_writer(self) -> MailWriter:
        return MailWriter(self.renderer, self.links, self.tokens)

    @property
    def sender(self) -> Sender:
        """The site's own; a list may give it another name."""
        return Sender(self.settings.mail_from, self.settings.mail_from_name)

    @property
    def delivery_context(self) -> DeliveryContext:
        return DeliveryContext(
            transaction=self.database.transaction,
            mailer=self.mailer,
            tokens=self.tokens,
            links=self.links,
            clock=utc_now,
            sender=self.sender,
            concurrency=self.settings.send_concurrency,
            lease=self.settings.send_lease,
            limits=SendLimits(
                self.settings.send_rate, self.settings.send_per_day, self.settings.send_warm_up_from
            ),
            fence_ahead=self.settings.send_fence_ahead if self.settings.send_fence else None,
            journal=self.journal,
        )

    @property
    def send_terms(self) -> SendTerms:
        """The terms of scheduled sends."""
        return SendTerms(self.settings.send_batch_size, max_delay=self.settings.send_within)

    @property
    def manual_send_terms(self) -> SendTerms:
        """The terms of sends that a person starts: for a moment they can be undone."""
        return replace(self.send_terms, undo_period=self.settings.send_undo)

    @property
    def retention_periods(self) -> RetentionPeriods:
        """How long subscribers' data is kept."""
        return RetentionPeriods(
            unconfirmed=timedelta(days=self.settings.keep_unconfirmed_days),
            events=timedelta(days=self.settings.keep_events_days),
            networks=timedelta(days=self.settings.keep_networks_days),
        )

    @property
    def reconciliation_timing(self) -> ReconciliationTiming:
        return ReconciliationTiming(
            self.settings.send_quiet_period,
            self.settings.canary_every,
            recall_before=self.settings.send_recall_before,
        )


def build_services(settings: Settings) -> Services:
    """Build the services. Nothing is started and no network connection is made."""
    database = Database(
        settings.database,
        settings.keys,
        zone=settings.time_zone,
        connections=settings.database_connections,
    )
    return Services(
        settings=settings,
        database=database,
        queue=WakeQueue(settings.queue, settings.keys[0]),
        mailer=_build_mailer(settings, database),
        renderer=TemplateRenderer(settings),
        links=Links(settings.base_url, settings.media_base_url),
        tokens=Tokens(settings.keys),
        storage=open_media_storage(settings),
        journal=_open_journal(settings),
    )


def _open_journal(settings: Settings) -> Journal | None:
    """None where mail stays in the database itself, which no restore takes apart."""
    if settings.mailer is MailerName.OUTBOX:
        return None
    return open_journal(settings.journal_place, [installation_id(key) for key in settings.keys])


def _build_mailer(settings: Settings, database: Database) -> Mailer:
    if settings.mailer is MailerName.OUTBOX:
        return OutboxMailer(database.transaction)
    return SendGridMailer(
        settings.sendgrid_api_key.get_secret_value(),
        settings.sendgrid_host,
        connections=settings.send_concurrency + 2,
        installation=installation_id(settings.keys[0]),
    )
