"""Filling the demo newsroom's register.

Putting the demo newsroom into an empty database, once.
"""

import tomllib
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.accounts.accounts import create_account
from nif.accounts.models import Account, RoleName
from nif.demo.pictures import add_demo_pictures
from nif.editions.schedule import parse_schedule
from nif.media.storage import MediaStorage
from nif.register import disclosure_decisions
from nif.register.models import AmountBand, OurSide, Party, PartyKind, RelationshipType
from nif.register.parties import PartyInput, add_party, find_party_by_name
from nif.register.relationship_types import PublisherNames
from nif.register.relationships import RegisterContext, RelationshipInput, add_relationship
from nif.stories.declarations import (
    AnswerInput,
    DeclarationQuestion,
    RelationshipDeclaration,
    StoryAiUse,
    StoryFunding,
    StoryOrigin,
)
from nif.stories.drafts import SectionInput, SourceInput, StoryInput, create_draft
from nif.stories.models import (
    BlockStyle,
    ReasonCode,
    ReleaseVerification,
    SourceKind,
    Story,
    StoryType,
)
from nif.stories.parties import look_up_story_records
from nif.stories.publishing import backdate_story, publish_story
from nif.subscriptions.lists import ListSettings, create_list
from nif.subscriptions.models import MailingList


def fill_register(
    session: Session, parties: list[Any], people: Mapping[str, int], pen: RegisterContext
) -> None:
    """Add parties in the order of the file, each with its relationships.

    `people` has the ids of accounts by their addresses. What is said to be so many days ago is
    dated by the day of loading, so that it is within its look-back.
    """
    for known in parties:
        whole = find_party_by_name(session, known["part_of"]) if "part_of" in known else None
        copy = PartyInput(
            name=known["name"],
            kind=PartyKind(known.get("kind", "company")),
            aliases=known.get("aliases", ()),
            parent_id=whole.id if whole else None,
        )
        party = add_party(session, copy, now=pen.now)
        for each in known.get("relationships", ()):
            add_relationship(session, party, _relationship_copy(each, people, pen.now.date()), pen)


def _relationship_copy(
    given: dict[str, Any], people: Mapping[str, int], today: date
) -> RelationshipInput:
    days = {
        name: today - timedelta(days=given[f"{name}_days_ago"])
        for name in ("since", "until")
        if f"{name}_days_ago" in given
    }
    plain = ("our_side_name", "detail", "since", "until", "evidence_url")
    return RelationshipInput(
        our_side=OurSide(given["our_side"]),
        type=RelationshipType(given["type"]),
        account_id=people.get(given.get("person", "")),
        amount_band=AmountBand(given.get("amount_band", AmountBand.NONE)),
        **{**{name: given[name] for name in plain if name in given}, **days},
    )


DEMO_FILES = Path(__file__).parent
REAL_STORY_SLUG = "nvidia-accused-of-training-its-ai-on-anna-s-archive"
DEMO_PASSWORD = "demo-newsroom"  # noqa: S105  (it is printed at every start, and never in production)
DEMO_ACCOUNTS = (
    ("editor@example.com", "Jo Reyes", RoleName.EDITOR),
    ("admin@example.com", "Sam Okafor", RoleName.ADMIN),
)
NOTHING_TO_DECLARE = {
    DeclarationQuestion.ORIGIN: StoryOrigin.MONITORING,
    DeclarationQuestion.RELATIONSHIPS: RelationshipDeclaration.NONE,
    DeclarationQuestion.MONEY: StoryFunding.NONE,
    DeclarationQuestion.AI: StoryAiUse.NONE,
}
FIRST_DIGEST_IN = timedelta(minutes=6)


def load_demo_newsroom(
    session: Session,
    *,
    password_hash: str,
    house: PublisherNames,
    now: datetime,
    storage: MediaStorage | None = None,
) -> bool:
    """Fill an empty newsroom; False, and nothing done, where there is anything already.

    Without a storage its stories have no pictures.

    The stories are dated by the day on which they are loaded, the real one newest, and the daily
    digest is due for the first time some minutes later, so that it can be seen to come by itself.
    """
    if _has_content(session):
        return False
    people = {}
    for email, name, role in DEMO_ACCOUNTS:
        account = create_account(session, email, name, role, now=now)
        account.password, people[email] = password_hash, account.id
    parties = _read_toml(DEMO_FILES / "register.toml")["parties"]
    fill_register(session, parties, people, RegisterContext(house, None, now))
    pictures = add_demo_pictures(session, storage, now=now) if storage else {}
    stories = [_read_toml(path) for path in sorted((DEMO_FILES / "stories").glob("*.toml"))]
    newest = max(datetime.fromisoformat(story["published"]) for story in stories)
    shift = timedelta(days=(now - newest).days)
    for story in stories:
        moment = datetime.fromisoformat(story["published"]) + shift
        if story["slug"] == REAL_STORY_SLUG:
            moment = now - timedelta(minutes=20)
        _publish_story(session, _story_copy(story, pictures), min(moment, now - timedelta(hours=1)))
    for charter in _read_toml(DEMO_FILES / "lists.toml")["lists"]:
        create_list(
            session,
            _with_digest_due_soon(ListSettings(**charter), now),
            now=now - timedelta(minutes=1),
        )
    return True


def _has_content(session: Session) -> bool:
    return any(
        session.scalar(select(model.id).limit(1)) is not None
        for model in (Account, Story, MailingList, Party)
    )


def _read_toml(path: Path) -> dict[str, Any]:
    return {**tomllib.loads(path.read_text(encoding="utf-8")), "slug": path.stem}


def _publish_story(session: Session, copy: StoryInput, moment: datetime) -> None:
    draft_ = create_draft(session, copy, author_id=None, now=moment)
    for each in look_up_story_records(
        session, draft_, story_id=draft_.id, now=moment
    ).undecided_relationships:
        disclosure_decisions.disclose_relationship(session, draft_.id, each, by=None, now=moment)
    publish_story(session, draft_, by=None, now=moment)
    backdate_story(session, draft_, moment=moment)


def _story_copy(story: dict[str, Any], pictures: Mapping[str, int]) -> StoryInput:
    """A story of the demo; `pictures` has the ids of those that it may name."""
    reason = story["reason"]
    subject = reason["subject"]
    if "date" in reason:
        subject = f"{subject} takes place on {reason['date']}"
    return StoryInput(
        headline=story["headline"],
        dek=story["dek"],
        lead=story["lead"],
        picture_id=pictures.get(story.get("picture", "")),
        sections=[
            SectionInput(one["label"], one["bullets"], pictures.get(one.get("picture", "")))
            for one in story["sections"]
        ],
        sources=[_source_copy(source) for source in story["sources"]],
        reason_code=ReasonCode(reason["code"]),
        reason_subject=subject,
        byline=story["byline"],
        story_type=StoryType(story["story_type"]),
        tags=story["tags"],
        answers=_story_answers(story),
        block_style=BlockStyle(story.get("style", BlockStyle.FULL)),
    )


def _story_answers(story: dict[str, Any]) -> dict[DeclarationQuestion, AnswerInput]:
    """The story's own answers; where it gives none, there is nothing to declare."""
    plain = {question: {"value": value} for question, value in NOTHING_TO_DECLARE.items()}
    given = {
        **plain,
        **{DeclarationQuestion(name): one for name, one in story.get("answers", {}).items()},
    }
    return {
        question: AnswerInput(one["value"], {k: v for k, v in one.items() if k != "value"})
        for question, one in given.items()
    }


def _source_copy(source: dict[str, Any]) -> SourceInput:
    checked = ReleaseVerification(source["checked"]) if "checked" in source else None
    return SourceInput(**{**source, "kind": SourceKind(source["kind"]), "checked": checked})


def _with_digest_due_soon(charter: ListSettings, now: datetime) -> ListSettings:
    """The charter, with a daily digest moved to a few minutes from now."""
    if parse_schedule(charter.schedule).weekday is not None:
        return charter
    soon = (now + FIRST_DIGEST_IN).astimezone(ZoneInfo(charter.zone))
    return ListSettings(**{**vars(charter), "schedule": f"daily {soon:%H:%M}"})
