from sqlalchemy import select

from nif.demo.loader import REAL_STORY_SLUG, load_demo_newsroom
from nif.register.models import Relationship, RelationshipType
from nif.register.name_matching import get_party_matcher
from nif.register.parties import find_party_by_name
from nif.register.relationships import list_relationships_in_force
from nif.stories.models import Story
from tests.conftest import NOON
from tests.register.entries import HOUSE


def loaded(session):
    assert load_demo_newsroom(session, password_hash="x", house=HOUSE, now=NOON)
    return {story.slug: story for story in session.scalars(select(Story))}


def words(story):
    bullets = [bullet for section in story.sections for bullet in section["bullets"]]
    return "\n".join([story.headline, story.dek, story.lead, *bullets])


def test_every_demo_story_names_parties_of_the_register(session):
    stories = loaded(session)

    found = {slug: get_party_matcher(session).find(words(story)) for slug, story in stories.items()}

    assert len(found) == 13
    assert [slug for slug, parties in found.items() if not parties] == []


def test_nothing_stands_between_nif_and_the_parties_of_the_real_story(session):
    seed = loaded(session)[REAL_STORY_SLUG]

    parties = get_party_matcher(session).find(words(seed))

    assert len(parties) == 5
    assert list_relationships_in_force(session, parties, on=NOON.date()) == []


def test_the_owner_and_its_products_bring_themselves_up(session):
    loaded(session)
    text = "It is listed on Stack and on ROSTR, as TRG and Utopia Music say."

    told = list_relationships_in_force(
        session, get_party_matcher(session).find(text), on=NOON.date()
    )

    assert [each.says(NOON.date()) for each in told] == [
        "The ROSTR Group owns NIF.",
        "ROSTR is part of The ROSTR Group, which also owns NIF.",
        "Stack is part of The ROSTR Group, which also owns NIF.",
        "Proper Group owned ROSTR, now our parent company, until 2023.",
    ]


def test_what_was_given_so_many_days_ago_is_within_its_look_back(session):
    loaded(session)
    party = find_party_by_name(session, "Saltmoth Festival")

    (ticket,) = list_relationships_in_force(session, [party.id], on=NOON.date())

    assert ticket.nature is RelationshipType.TICKET
    assert ticket.says(NOON.date()) == (
        "Saltmoth Festival gave Jo Reyes a ticket to this year's festival, worth between €50 and "
        "€250."
    )


def test_it_is_loaded_once(session):
    loaded(session)
    count = len(session.scalars(select(Relationship)).all())

    assert not load_demo_newsroom(session, password_hash="x", house=HOUSE, now=NOON)
    assert len(session.scalars(select(Relationship)).all()) == count
