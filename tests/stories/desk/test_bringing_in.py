"""Stories that were written before the desk could search are found too."""

from alembic import command
from alembic.config import Config
from sqlalchemy import select

from nif import schema
from nif.database import Database
from nif.settings import PROJECT
from nif.stories.autosave import StorySearchIndex
from tests.factories import a_draft, a_story


def test_older_stories_are_found_by_the_same_words(database: Database) -> None:
    with database.transaction() as session:
        a_story(session, headline="Beyoncé’s Label", tags=["Live music", "Deals"])
        a_draft(session, headline="Another", tags=[])
    with database.reading() as session:
        wanted = session.execute(select(StorySearchIndex.story_id, StorySearchIndex.folded)).all()

    config = Config(toml_file=PROJECT / "pyproject.toml")
    config.attributes["engine"] = database.engine
    command.downgrade(config, "0008-1")
    schema.upgrade_schema(database)

    with database.reading() as session:
        found = session.execute(select(StorySearchIndex.story_id, StorySearchIndex.folded)).all()
    assert [(one, sorted(words.split())) for one, words in sorted(found)] == [
        (one, sorted(words.split())) for one, words in sorted(wanted)
    ]
