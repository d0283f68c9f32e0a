"""What the benches measure is a house as it is: its gates and its rules have the last word."""

from bench import archive, filling
from nif.database import Database
from nif.services import Services
from tests.factories import an_account


def test_a_send_to_be_measured_has_its_readers_and_its_stories(
    database: Database, services: Services
) -> None:
    list_id = filling.fill(database, 20)

    with database.transaction() as session:
        assert len(filling.expected(session, list_id, 20)) == 20
        edition = filling.an_edition(session, list_id, services.mail_writer, days=1)
        assert len(edition.items) == filling.STORIES


def test_a_newsroom_to_be_measured_is_filled(database: Database) -> None:
    with database.transaction() as session:
        me = an_account(session).id

    assert archive.fill(database, 3, me) > 0
