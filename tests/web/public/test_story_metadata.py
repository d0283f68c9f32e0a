"""A story's pictures on pages, in feeds, in mail and in metadata."""

import html5lib
from flask.testing import FlaskClient

from nif.database import Database
from nif.editions.digest import compose_digest
from nif.editions.schedule import Slot
from nif.media.models import DigitalSourceType
from nif.services import Services
from nif.stories.drafts import SectionInput
from nif.stories.models import Revision
from tests.conftest import NOON
from tests.factories import a_list, a_story
from tests.media.pictures import a_ready_picture
from tests.web.public.channels import (
    ATOM,
    CONTENT,
    atom_entries,
    fetched,
    json_items,
    rss_items,
    structured,
)

BASE = "http://127.0.0.1:8000"
MEDIA = "{http://search.yahoo.com/mrss/}"
ALT = 'A "red" wall & <b>more</b>'


def illustrated(database: Database) -> Revision:
    """A story with a picture that AI made in front, and a photograph after its section."""
    with database.transaction() as session:
        lead = a_ready_picture(
            session, alt=ALT, source_type=DigitalSourceType.BY_AI, credit="Midjourney/NIF"
        )
        after = a_ready_picture(session, alt="The buyer", caption="The buyer's house")
        section = SectionInput("Why it matters:", ["It is so."], after.id)
        return a_story(session, picture_id=lead.id, sections=[section])


def file(story: Revision, shape: str, n: int = 0) -> str:
    assert story.picture
    return f"{BASE}/media/{story.picture['shapes'][shape]['jpeg'][n][0]}"


def test_a_page_shows_pictures_in_place_with_their_sizes(
    client: FlaskClient, database: Database
) -> None:
    story = illustrated(database)
    page = fetched(client, f"/articles/{story.slug}")

    html5lib.HTMLParser(strict=True).parse(page)
    places = ["The buyer is not named", "<figure", "byline", "It is so.", "<figure", "transparency"]
    at = 0
    for place in places:
        at = page.index(place, page.index("<main") if not at else at + 1)
    first, second = page.split("<figure")[1:]
    assert 'fetchpriority="high"' in first
    assert 'loading="lazy"' not in first
    assert "Made by AI." in first
    assert 'loading="lazy"' in second
    assert page.count("<img") == page.count(' width="900" height="600"') == 2
    assert "AI made a picture in this story (Midjourney/NIF)." in page


def test_share_metadata_and_json_ld_have_pictures_with_their_sizes(
    client: FlaskClient, database: Database
) -> None:
    story = illustrated(database)
    page = fetched(client, f"/articles/{story.slug}")
    lead, *others = structured(page)["image"]

    for name, value in {
        "og:image": file(story, "share"),
        "og:image:width": "1200",
        "og:image:height": "630",
        "og:image:alt": "A &#34;red&#34; wall &amp; &lt;b&gt;more&lt;/b&gt;",
    }.items():
        assert f'<meta property="{name}" content="{value}">' in page
    assert '<meta name="twitter:card" content="summary_large_image">' in page
    assert lead == {
        "@type": "ImageObject",
        "url": file(story, "original", -1),
        "width": 900,
        "height": 600,
        "creditText": "Midjourney/NIF",
        "license": "https://creativecommons.org/licenses/by/4.0/",
        "digitalSourceType": "https://schema.org/TrainedAlgorithmicMediaDigitalSource",
    }
    assert len(others) == 5
    assert others[-1]["caption"] == "The buyer's house"


def test_feeds_contain_pictures_with_absolute_addresses(
    client: FlaskClient, database: Database
) -> None:
    story = illustrated(database)
    address = file(story, "original", -1)

    (item,), (entry,), (told,) = rss_items(client), atom_entries(client), json_items(client)

    media = item.find(f"{MEDIA}content")
    assert media is not None
    assert (media.get("url"), media.get("type")) == (address, "image/jpeg")
    assert media.findtext(f"{MEDIA}description") == ALT
    enclosures = [one for one in entry.iter(f"{ATOM}link") if one.get("rel") == "enclosure"]
    assert [one.get("href") for one in enclosures] == [address]
    assert told["image"] == address
    for html in (item.findtext(f"{CONTENT}encoded") or "", told["content_html"]):
        assert html.count("<img ") == html.count(f'<img src="{BASE}/media/') == 2
        assert "Made by AI. " in html
        assert "<b>more</b>" not in html


def test_a_card_on_the_front_page_loads_its_picture_when_it_is_seen(
    client: FlaskClient, database: Database
) -> None:
    illustrated(database)

    front = fetched(client, "/")

    assert (front.count("<img"), front.count('loading="lazy"')) == (1, 1)
    assert '<p class="ai-made">Made by AI</p>' in front


def test_a_digest_shows_its_first_storys_picture_in_the_html_only(
    database: Database, services: Services
) -> None:
    first = illustrated(database)
    with database.transaction() as session:
        other = a_ready_picture(session)
        a_story(session, at=NOON.replace(hour=1), picture_id=other.id)
        day = Slot(NOON.date(), NOON)
        message = compose_digest(
            session, a_list(session), day, services.mail_writer, now=NOON
        ).message

    assert message is not None
    assert message.html.count("<img") == 1
    assert f'src="{file(first, "wide", -1)}"' in message.html
    assert 'alt="A &quot;red&quot; wall' in message.html or 'alt="A &#34;red&#34;' in message.html
    assert "Made by AI." in message.html
    assert "media" not in message.text
    assert "Midjourney" not in message.text.partition("Disclosures")[0]


def test_a_story_without_pictures_has_no_picture_metadata(
    client: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        slug = a_story(session).slug
    page = fetched(client, f"/articles/{slug}")

    for word in ("<img", "<figure", "og:image", "twitter:card", '"image"'):
        assert word not in page
