"""A person's page lists their stories."""

from flask.testing import FlaskClient

from nif.accounts import accounts
from nif.accounts.accounts import ProfileInput
from nif.accounts.models import RoleName
from nif.database import Database
from tests.factories import a_story, an_account


def test_a_persons_page_lists_their_stories_page_by_page(
    client: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        account = an_account(session, RoleName.EDITOR)
        accounts.save_profile(session, account, ProfileInput("Jo Reyes", is_public=True))
        for n in range(21):
            a_story(session, headline=f"By Jo {n:02}", byline="Jo Reyes")
        a_story(session, headline="By another", byline="Sam Okafor")

    first = client.get("/people/jo-reyes").text
    older = first.partition('href="/people/jo-reyes?after=')[2].partition('"')[0]
    second = client.get(f"/people/jo-reyes?after={older}").text

    assert "Stories by Jo Reyes" in first
    assert "By Jo 20" in first
    assert "By Jo 00" not in first
    assert "By Jo 00" in second
    assert "By another" not in first + second
    assert client.get("/people/jo-reyes?after=nonsense").status_code == 404
