"""Loading the demo newsroom into an empty database."""

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from io import BytesIO
from math import cos, pi, sin
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from PIL import Image, ImageDraw
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.accounts.accounts import create_account
from nif.accounts.models import Account, RoleName
from nif.editions.schedule import parse_schedule
from nif.media.library import (
    PictureDescription,
    PictureFraming,
    add_picture,
    change_picture,
    store_master,
)
from nif.media.models import DigitalSourceType
from nif.media.renditions import make_renditions_of
from nif.media.storage import MediaStorage
from nif.media.uploads import receive_upload
from nif.register import disclosure_decisions
from nif.register.models import AmountBand, OurSide, Party, PartyKind, RelationshipType
from nif.register.parties import PartyInput, add_party, find_party_by_name
from nif.register.relationship_types import PublisherNames
from nif.register.relationships import RegisterContext, RelationshipInput, add_relationship
from nif.stories.drafts import SectionInput, SourceInput, StoryInput, create_draft
from nif.stories.models import (
    BlockStyle,
    ReasonCode,
    ReleaseVerification,
    SourceKind,
    Story,
    StoryType,
)
from nif.stories.publishing import backdate_story, publish_story
from nif.stories.records import look_up_story_records
from nif.stories.transparency_block import (
    AnswerInput,
    DeclarationQuestion,
    RelationshipDeclaration,
    StoryAiUse,
    StoryFunding,
    StoryOrigin,
)
from nif.subscriptions.lists import ListSettings, create_list
from nif.subscriptions.models import MailingList

DEMO_FILES = Path(__file__).parent
REAL_STORY_SLUG = "nvidia-accused-of-training-its-ai-on-anna-s-archive"
DEMO_PASSWORD = "demo-newsroom"  # noqa: S105  (printed at every start, and refused in production)
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
    names: PublisherNames,
    now: datetime,
    storage: MediaStorage | None = None,
) -> bool:
    """Load the demo; False, and nothing changed, where the database already has content.

    Without `storage`, the stories have no pictures. The stories are dated relative to the day of
    loading, the real one newest. The first daily digest is due a few minutes later, so that
    somebody who tries the demo sees it arrive.
    """
    if any(
        session.scalar(select(model.id).limit(1)) is not None
        for model in (Account, Story, MailingList, Party)
    ):
        return False
    people = {}
    for email, name, role in DEMO_ACCOUNTS:
        account = create_account(session, email, name, role, now=now)
        account.password, people[email] = password_hash, account.id
    parties = _read_toml(DEMO_FILES / "register.toml")["parties"]
    fill_register(session, parties, people, RegisterContext(names, None, now))
    pictures = add_demo_pictures(session, storage, now=now) if storage else {}
    stories = [_read_toml(path) for path in sorted((DEMO_FILES / "stories").glob("*.toml"))]
    newest = max(datetime.fromisoformat(story["published"]) for story in stories)
    shift = timedelta(days=(now - newest).days)
    for story in stories:
        moment = datetime.fromisoformat(story["published"]) + shift
        if story["slug"] == REAL_STORY_SLUG:
            moment = now - timedelta(minutes=20)
        moment = min(moment, now - timedelta(hours=1))
        _publish_story(session, _story_input(story, pictures), moment)
    for fields in _read_toml(DEMO_FILES / "lists.toml")["lists"]:
        settings = _with_digest_due_soon(ListSettings(**fields), now)
        create_list(session, settings, now=now - timedelta(minutes=1))
    return True


def fill_register(
    session: Session, parties: list[Any], people: Mapping[str, int], context: RegisterContext
) -> None:
    """Add parties in the order of the file, each with its relationships.

    `people` maps the email addresses of accounts to their ids. Dates given in days before today
    count from the day of loading, so that a relationship is recent enough to be disclosed.
    """
    for entry in parties:
        parent = find_party_by_name(session, entry["part_of"]) if "part_of" in entry else None
        fields = PartyInput(
            name=entry["name"],
            kind=PartyKind(entry.get("kind", "company")),
            aliases=entry.get("aliases", ()),
            parent_id=parent.id if parent else None,
        )
        party = add_party(session, fields, now=context.now)
        for relationship in entry.get("relationships", ()):
            given = _relationship_input(relationship, people, context.now.date())
            add_relationship(session, party, given, context)


def _relationship_input(
    given: dict[str, Any], people: Mapping[str, int], today: date
) -> RelationshipInput:
    days = {
        name: today - timedelta(days=given[f"{name}_days_ago"])
        for name in ("since", "until")
        if f"{name}_days_ago" in given
    }
    names = ("our_side_name", "detail", "since", "until", "evidence_url")
    return RelationshipInput(
        our_side=OurSide(given["our_side"]),
        type=RelationshipType(given["type"]),
        account_id=people.get(given.get("person", "")),
        amount_band=AmountBand(given.get("amount_band", AmountBand.NONE)),
        **{**{name: given[name] for name in names if name in given}, **days},
    )


def _read_toml(path: Path) -> dict[str, Any]:
    return {**tomllib.loads(path.read_text(encoding="utf-8")), "slug": path.stem}


def _publish_story(session: Session, fields: StoryInput, moment: datetime) -> None:
    story = create_draft(session, fields, author_id=None, now=moment)
    records = look_up_story_records(session, story, story_id=story.id, now=moment)
    for found in records.disclosures.undecided:
        disclosure_decisions.disclose_relationship(session, story.id, found, by=None, now=moment)
    publish_story(session, story, by=None, now=moment)
    backdate_story(session, story, moment=moment)


def _story_input(story: dict[str, Any], pictures: Mapping[str, int]) -> StoryInput:
    """A demo story; `pictures` maps the names that it may use to picture ids."""
    reason = story["reason"]
    event = f" takes place on {reason['date']}" if "date" in reason else ""
    return StoryInput(
        **{name: story[name] for name in ("headline", "dek", "lead", "byline", "tags")},
        picture_id=pictures.get(story.get("picture", "")),
        sections=[
            SectionInput(one["label"], one["bullets"], pictures.get(one.get("picture", "")))
            for one in story["sections"]
        ],
        sources=[_source_input(source) for source in story["sources"]],
        reason_code=ReasonCode(reason["code"]),
        reason_subject=reason["subject"] + event,
        story_type=StoryType(story["story_type"]),
        answers=_story_answers(story),
        block_style=BlockStyle(story.get("style", BlockStyle.FULL)),
    )


def _story_answers(story: dict[str, Any]) -> dict[DeclarationQuestion, AnswerInput]:
    """The story's answers; a question that it leaves out is answered with nothing to declare."""
    answers = {question: AnswerInput(value, {}) for question, value in NOTHING_TO_DECLARE.items()}
    for question, answer in story.get("answers", {}).items():
        details = {name: value for name, value in answer.items() if name != "value"}
        answers[DeclarationQuestion(question)] = AnswerInput(answer["value"], details)
    return answers


def _source_input(source: dict[str, Any]) -> SourceInput:
    checked = ReleaseVerification(source["checked"]) if "checked" in source else None
    return SourceInput(**{**source, "kind": SourceKind(source["kind"]), "checked": checked})


def _with_digest_due_soon(settings: ListSettings, now: datetime) -> ListSettings:
    """The settings, with a daily digest moved to a few minutes from now."""
    if parse_schedule(settings.schedule).weekday is not None:
        return settings
    soon = (now + FIRST_DIGEST_IN).astimezone(ZoneInfo(settings.zone))
    return replace(settings, schedule=f"daily {soon:%H:%M}")


DRAWING_SIZE = (2000, 1333)
STORED_SIZE = (1280, 853)
"""As large as a page shows it: renditions of larger ones would delay `make run`."""

PAPER, INK, ACCENT = "#f6efe9", "#1b1a17", "#b3261e"


def draw_waveform() -> bytes:
    """A track as a row of bars with one phrase marked. A PNG."""
    image = Image.new("RGB", DRAWING_SIZE, PAPER)
    canvas = ImageDraw.Draw(image)
    middle = DRAWING_SIZE[1] // 2
    for n in range(100):
        swell = sin(n / 100 * pi) * (0.45 + 0.3 * sin(n / 3.1) + 0.25 * cos(n / 1.7))
        half = 30 + abs(swell) * 480
        bar = (n * 20 + 4, middle - half, n * 20 + 16, middle + half)
        canvas.rounded_rectangle(bar, 6, fill=ACCENT if 58 <= n < 74 else INK)
    return _as_png(image)


def draw_record() -> bytes:
    """A record seen from above, larger than the image, with a coloured label. A PNG."""
    image = Image.new("RGB", DRAWING_SIZE, PAPER)
    canvas = ImageDraw.Draw(image)
    x, y = 1350, 640
    for radius in range(760, 240, -20):
        shade = INK if radius // 20 % 2 else "#2e2c27"
        canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=shade)
    for radius, colour in ((240, ACCENT), (26, PAPER)):
        canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    return _as_png(image)


def _as_png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.resize(STORED_SIZE, Image.Resampling.LANCZOS).save(buffer, "PNG")
    return buffer.getvalue()


CREDIT = "Drawn by code/NIF demo"
MAX_PICTURE_BYTES = 25_000_000
DEMO_PICTURES = (
    (
        "waveform",
        draw_waveform,
        PictureFraming(0.66, 0.5),
        "The waveform of a track as a row of dark bars; one phrase of it is marked in red.",
        "A phrase that was sampled is marked. This is a drawing of the demo, not of a real track.",
    ),
    (
        "record",
        draw_record,
        PictureFraming(0.675, 0.48),
        "A vinyl record with a red label, seen from above.",
        "A drawing of the demo.",
    ),
)


def add_demo_pictures(session: Session, storage: MediaStorage, *, now: datetime) -> dict[str, int]:
    """Add the demo's pictures and their files to the library; returns their ids by name."""
    ids = {}
    for name, draw, framing, alt, caption in DEMO_PICTURES:
        description = PictureDescription(
            alt=alt,
            caption=caption,
            credit=CREDIT,
            licence="CC0 1.0",
            licence_url="https://creativecommons.org/publicdomain/zero/1.0/",
            source_type=DigitalSourceType.CREATION,
        )
        with receive_upload(BytesIO(draw()), most=MAX_PICTURE_BYTES) as received:
            stored = store_master(storage, received)
        picture = add_picture(session, stored, description, by=None, now=now)
        change_picture(session, picture, description, framing, edits=0, now=now)
        make_renditions_of(session, storage, picture)
        ids[name] = picture.id
    return ids
