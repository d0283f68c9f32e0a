"""The benchmarks' sample data passes the real rules."""

from bench import sample_list, sample_newsroom
from nif.database import Database
from nif.services import Services
from tests.factories import an_account


def test_the_sample_list_has_its_subscribers_and_an_edition_with_stories(
    database: Database, services: Services
) -> None:
    list_id = sample_list.fill_list(database, 20)

    with database.transaction() as session:
        assert len(sample_list.load_expected_ids(session, list_id, 20)) == 20
        edition = sample_list.make_edition(session, list_id, services.mail_writer, days=1)
        assert len(edition.items) == sample_list.STORIES


def test_the_sample_newsroom_is_filled(database: Database) -> None:
    with database.transaction() as session:
        me = an_account(session).id

    assert sample_newsroom.fill_newsroom(database, 3, me) > 0
