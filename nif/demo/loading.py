"""Putting the demo newsroom into an empty database, once."""

import tomllib
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.accounts.enrolling import enrol
from nif.accounts.models import Account, RoleName
from nif.demo.pictures import hang
from nif.demo.registering import fill
from nif.editions.scheduling import read_schedule
from nif.media.storing import Storage
from nif.register import deciding
from nif.register.models import Party
from nif.register.relating import Pen
from nif.register.wording import House
from nif.stories.answers import AiUse, Given, Money, Origin, Question, Relations
from nif.stories.drafting import SectionCopy, SourceCopy, StoryCopy, draft
from nif.stories.kinds import Checked
from nif.stories.models import BlockStyle, ReasonCode, SourceKind, Story, StoryType
from nif.stories.parties import look_up
from nif.stories.publishing import backdate, publish
from nif.subscriptions.establishing import Charter, establish
from nif.subscriptions.models import MailingList

FOLDER = Path(__file__).parent
SEED = "nvidia-accused-of-training-its-ai-on-anna-s-archive"
PASSWORD = "demo-newsroom"  # noqa: S105  (it is printed at every start, and never in production)
PEOPLE = (
    ("editor@example.com", "Jo Reyes", RoleName.EDITOR),
    ("admin@example.com", "Sam Okafor", RoleName.ADMIN),
)
NOTHING_TO_DECLARE = {
    Question.ORIGIN: Origin.MONITORING,
    Question.RELATIONSHIPS: Relations.NONE,
    Question.MONEY: Money.NONE,
    Question.AI: AiUse.NONE,
}
FIRST_DIGEST_IN = timedelta(minutes=6)


def load(
    session: Session,
    *,
    password_hash: str,
    house: House,
    now: datetime,
    storage: Storage | None = None,
) -> bool:
    """Fill an empty newsroom; False, and nothing done, where there is anything already.

    Without a storage its stories have no pictures.

    The stories are dated by the day on which they are loaded, the real one newest, and the daily
    digest is due for the first time some minutes later, so that it can be seen to come by itself.
    """
    if _is_inhabited(session):
        return False
    people = {}
    for email, name, role in PEOPLE:
        account = enrol(session, email, name, role, now=now)
        account.password, people[email] = password_hash, account.id
    parties = _read(FOLDER / "register.toml")["parties"]
    fill(session, parties, people, Pen(house, None, now))
    pictures = hang(session, storage, now=now) if storage else {}
    stories = [_read(path) for path in sorted((FOLDER / "stories").glob("*.toml"))]
    newest = max(datetime.fromisoformat(story["published"]) for story in stories)
    shift = timedelta(days=(now - newest).days)
    for story in stories:
        moment = datetime.fromisoformat(story["published"]) + shift
        if story["slug"] == SEED:
            moment = now - timedelta(minutes=20)
        _publish(session, _copy(story, pictures), min(moment, now - timedelta(hours=1)))
    for charter in _read(FOLDER / "lists.toml")["lists"]:
        establish(session, _due_soon(Charter(**charter), now), now=now - timedelta(minutes=1))
    return True


def _is_inhabited(session: Session) -> bool:
    return any(
        session.scalar(select(model.id).limit(1)) is not None
        for model in (Account, Story, MailingList, Party)
    )


def _read(path: Path) -> dict[str, Any]:
    return {**tomllib.loads(path.read_text(encoding="utf-8")), "slug": path.stem}


def _publish(session: Session, copy: StoryCopy, moment: datetime) -> None:
    draft_ = draft(session, copy, author_id=None, now=moment)
    for each in look_up(session, draft_, story_id=draft_.id, now=moment).undecided:
        deciding.disclose(session, draft_.id, each, by=None, now=moment)
    publish(session, draft_, by=None, now=moment)
    backdate(session, draft_, moment=moment)


def _copy(story: dict[str, Any], pictures: Mapping[str, int]) -> StoryCopy:
    """A story of the demo; `pictures` has the ids of those that it may name."""
    reason = story["reason"]
    subject = reason["subject"]
    if "date" in reason:
        subject = f"{subject} takes place on {reason['date']}"
    return StoryCopy(
        headline=story["headline"],
        dek=story["dek"],
        lead=story["lead"],
        picture_id=pictures.get(story.get("picture", "")),
        sections=[
            SectionCopy(one["label"], one["bullets"], pictures.get(one.get("picture", "")))
            for one in story["sections"]
        ],
        sources=[_source(source) for source in story["sources"]],
        reason_code=ReasonCode(reason["code"]),
        reason_subject=subject,
        byline=story["byline"],
        story_type=StoryType(story["story_type"]),
        tags=story["tags"],
        answers=_answers(story),
        block_style=BlockStyle(story.get("style", BlockStyle.FULL)),
    )


def _answers(story: dict[str, Any]) -> dict[Question, Given]:
    """The story's own answers; where it gives none, there is nothing to declare."""
    plain = {question: {"value": value} for question, value in NOTHING_TO_DECLARE.items()}
    given = {**plain, **{Question(name): one for name, one in story.get("answers", {}).items()}}
    return {
        question: Given(one["value"], {k: v for k, v in one.items() if k != "value"})
        for question, one in given.items()
    }


def _source(source: dict[str, Any]) -> SourceCopy:
    checked = Checked(source["checked"]) if "checked" in source else None
    return SourceCopy(**{**source, "kind": SourceKind(source["kind"]), "checked": checked})


def _due_soon(charter: Charter, now: datetime) -> Charter:
    """The charter, with a daily digest moved to a few minutes from now."""
    if read_schedule(charter.schedule).weekday is not None:
        return charter
    soon = (now + FIRST_DIGEST_IN).astimezone(ZoneInfo(charter.zone))
    return Charter(**{**vars(charter), "schedule": f"daily {soon:%H:%M}"})
