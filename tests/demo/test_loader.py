"""The demo newsroom."""

from sqlalchemy import select

from nif.demo.loader import REAL_STORY_SLUG, load_demo_newsroom
from nif.register.models import Relationship, RelationshipType
from nif.register.name_matching import get_party_matcher
from nif.register.parties import find_party_by_name
from nif.register.relationships import list_relationships_in_force
from nif.stories.models import Story
from tests.conftest import NOON
from tests.register.entries import PUBLISHER


def loaded(session):
    assert load_demo_newsroom(session, password_hash="x", names=PUBLISHER, now=NOON)
    return {story.slug: story for story in session.scalars(select(Story))}


def words(story):
    bullets = [bullet for section in story.sections for bullet in section["bullets"]]
    return "\n".join([story.headline, story.dek, story.lead, *bullets])


def test_every_demo_story_names_a_party_of_the_register(session):
    stories = loaded(session)

    found = {
        slug: get_party_matcher(session).find_party_ids(words(story))
        for slug, story in stories.items()
    }

    assert len(found) == 13
    assert [slug for slug, parties in found.items() if not parties] == []


def test_the_parties_of_the_real_story_have_no_relationship_with_nif(session):
    real_story = loaded(session)[REAL_STORY_SLUG]

    parties = get_party_matcher(session).find_party_ids(words(real_story))

    assert len(parties) == 5
    assert list_relationships_in_force(session, parties, on=NOON.date()) == []


def test_relationships_of_the_owner_and_its_products_are_found_in_a_text(session):
    loaded(session)
    text = "It is listed on Stack and on ROSTR, as TRG and Utopia Music say."

    relationships = list_relationships_in_force(
        session, get_party_matcher(session).find_party_ids(text), on=NOON.date()
    )

    assert [each.sentence_on(NOON.date()) for each in relationships] == [
        "The ROSTR Group owns NIF.",
        "ROSTR is part of The ROSTR Group, which also owns NIF.",
        "Stack is part of The ROSTR Group, which also owns NIF.",
        "Proper Group owned ROSTR, now our parent company, until 2023.",
    ]


def test_a_relationship_dated_in_days_before_today_is_recent_enough_to_be_disclosed(session):
    loaded(session)
    party = find_party_by_name(session, "Saltmoth Festival")

    (ticket,) = list_relationships_in_force(session, [party.id], on=NOON.date())

    assert ticket.type is RelationshipType.TICKET
    assert ticket.sentence_on(NOON.date()) == (
        "Saltmoth Festival gave Jo Reyes a ticket to this year's festival, worth between €50 and "
        "€250."
    )


def test_the_demo_is_loaded_only_once(session):
    loaded(session)
    count = len(session.scalars(select(Relationship)).all())

    assert not load_demo_newsroom(session, password_hash="x", names=PUBLISHER, now=NOON)
    assert len(session.scalars(select(Relationship)).all()) == count
