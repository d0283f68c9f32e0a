"""An installation whose worker is often down, and has five schedulers when it is up."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from random import Random
from threading import Barrier

from sqlalchemy.orm import Session

from nif.database import Database
from nif.editions import digest
from nif.editions.models import Edition
from nif.editions.schedule import DigestSchedule, Slot
from nif.links import Links
from nif.mail.message import MailWriter, TemplateRenderer
from nif.settings import load_settings
from nif.stories.drafts import create_draft
from nif.stories.publishing import publish_story
from nif.subscriptions.lists import ListSettings, create_list
from nif.subscriptions.models import MailingList
from nif.tokens import Tokens
from tests.factories import story_copy
from tests.prove.wall_clock import DAY, moment
from tests.waiting import LIMIT

SCHEDULERS = 5
MINUTE = 60

Keep = Callable[..., Edition | None]


@dataclass(frozen=True)
class Schedulers:
    """The lists, and what their schedulers work with."""

    database: Database
    mail_writer: MailWriter
    list_ids: Sequence[int]
    keep: Keep


@dataclass(frozen=True)
class ObservedPast:
    """What happened: when the schedulers ticked, five together, and when stories were published."""

    looks: Sequence[Sequence[datetime]]
    stories: dict[int, datetime]


def found(
    database: Database, lists: Sequence[tuple[DigestSchedule, str]], keep: Keep, *, now: datetime
) -> Schedulers:
    settings = load_settings(
        _env_file=None, env="testing", secret_key="a key for proofs that is quite long enough"
    )
    mail_writer = MailWriter(
        TemplateRenderer(settings), Links(settings.base_url), Tokens(settings.keys)
    )
    with database.transaction() as session:
        ids = [
            create_list(session, ListSettings(f"list-{n}", "NIF", str(schedule), zone), now=now).id
            for n, (schedule, zone) in enumerate(lists)
        ]
    return Schedulers(database, mail_writer, ids, keep)


def ticks(dues: Sequence[int], start: int, end: int, random: Random) -> Iterator[int]:
    """When the schedulers tick: at each start of the worker, and whenever something is due.

    A scheduler ticks every five seconds. Most ticks at which nothing can be due are left out. The
    worker is up for minutes or days, and then down for minutes or days.
    """
    last = 0
    while start < end:
        stop = min(end, start + _some(10 * MINUTE, 6 * DAY, random))
        idle = random.randrange(start, stop)
        due = [due + random.randrange(5) for due in dues if start < due < stop]
        for tick in [start, *sorted([idle, *due])]:
            if tick >= last + 5:
                yield tick
                last = tick
        start = stop + _some(2 * MINUTE, 3 * DAY, random)
    yield end + 3 * DAY


def _some(least: int, most: int, random: Random) -> int:
    """Seconds between two bounds, minutes as likely as days."""
    return int(least * (most / least) ** random.random())


def live(house: Schedulers, moments: Sequence[int], random: Random) -> ObservedPast:
    looks = [[moment(tick + random.randrange(5)) for _ in range(SCHEDULERS)] for tick in moments]
    stories: dict[int, datetime] = {}
    fresh = moments[0] + _some(MINUTE, 9 * DAY, random)
    with ThreadPoolExecutor(SCHEDULERS) as threads:
        for tick, five in zip(moments, looks, strict=True):
            while fresh < tick:
                stories[_publish(house.database, moment(fresh))] = moment(fresh)
                fresh += _some(MINUTE, 9 * DAY, random)
            _tick_together(house, five, threads)
    return ObservedPast(looks, stories)


def _tick_together(
    house: Schedulers, five: Sequence[datetime], threads: ThreadPoolExecutor
) -> None:
    """Have all schedulers tick at once; none writes before all have seen what is due."""
    all_have_looked = Barrier(SCHEDULERS)

    def tick(now: datetime) -> None:
        with house.database.reading() as session:
            due = {
                list_id: digest.list_due_slots(
                    session, session.get_one(MailingList, list_id), now=now
                )
                for list_id in house.list_ids
            }
        all_have_looked.wait(LIMIT)
        for list_id, slots in due.items():
            if slots:
                with house.database.transaction() as session:
                    _keep(session, house, list_id, slots, now)

    list(threads.map(tick, five))


def _keep(
    session: Session, house: Schedulers, list_id: int, slots: Sequence[Slot], now: datetime
) -> None:
    mailing_list = session.get_one(MailingList, list_id)
    for slot in slots:
        house.keep(session, mailing_list, slot, house.mail_writer, now=now)


def _publish(database: Database, now: datetime) -> int:
    copy = story_copy(headline=f"Palisade Records Sells Its Catalogue, {now:%d %B %Y at %H:%M:%S}")
    with database.transaction() as session:
        story = create_draft(session, copy, author_id=None, now=now)
        publish_story(session, story, by=None, now=now)
        return story.id
