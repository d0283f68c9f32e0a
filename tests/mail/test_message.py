"""Rendering templates into a message."""

from pathlib import Path

import pytest
from jinja2 import UndefinedError
from sqlalchemy.orm import Session

from nif.editions.messages import format_list_id, write_digest_message
from nif.editions.schedule import Slot
from nif.errors import NifError
from nif.links import Links
from nif.mail.message import MAX_HTML_BYTES, MailTooLarge, Message, TemplateRenderer
from nif.services import Services
from nif.settings import Settings, load_settings
from nif.stories.models import Revision
from nif.subscriptions.models import MailingList
from tests.conftest import NOON
from tests.factories import a_list, a_story

SLOT = Slot(NOON.date(), NOON)
TAGS = ["%nif.unsubscribe%", "%nif.preferences%"]


@pytest.fixture
def site(tmp_path: Path) -> Settings:
    return load_settings(_env_file=None, instance_dir=tmp_path, env="testing")


def renderer(
    site: Settings, folder: Path, *, subject: str = "Hello", text: str = "Hello", mjml: str = ""
) -> TemplateRenderer:
    """A renderer with one mail called `note`."""
    (folder / "note").mkdir()
    (folder / "note" / "subject.txt").write_text(subject)
    (folder / "note" / "body.txt").write_text(text)
    (folder / "note" / "body.mjml").write_text(f"<mjml><mj-body>{mjml}</mj-body></mjml>")
    return TemplateRenderer(site, folder)


def column(inner: str) -> str:
    return f"<mj-section><mj-column>{inner}</mj-column></mj-section>"


def digest(session: Session, services: Services, *stories: Revision) -> Message:
    found: MailingList = a_list(session)
    return write_digest_message(services.mail_writer, found, SLOT, stories)


def test_a_message_comes_from_the_site(site: Settings, tmp_path: Path) -> None:
    message = renderer(site, tmp_path).render("note", headers={"List-Id": "<a.b>"})

    assert (message.from_address, message.from_name) == (site.mail_from, site.mail_from_name)
    assert message.headers == {"List-Id": "<a.b>"}
    assert message.text == "Hello\n"


def test_a_subject_is_one_line(site: Settings, tmp_path: Path) -> None:
    mail = renderer(site, tmp_path, subject="\n  Hello\r\n{{ who }} \n")

    assert mail.render("note", who="Ann\r\nBcc: all@example.com").subject == (
        "Hello Ann Bcc: all@example.com"
    )


def test_values_are_escaped_in_html_and_not_in_text(site: Settings, tmp_path: Path) -> None:
    mail = renderer(
        site,
        tmp_path,
        subject="{{ who }}",
        text="{{ who }}",
        mjml=column("<mj-text>{{ who }}</mj-text>"),
    )

    message = mail.render("note", who="<b>Rock & Roll</b>")

    assert message.subject == "<b>Rock & Roll</b>"
    assert message.text == "<b>Rock & Roll</b>\n"
    assert "&lt;b&gt;Rock &amp; Roll&lt;/b&gt;" in message.html
    assert "<b>Rock" not in message.html


def test_a_missing_template_variable_is_an_error(site: Settings, tmp_path: Path) -> None:
    with pytest.raises(UndefinedError, match="who"):
        renderer(site, tmp_path, text="{{ who }}").render("note")


def test_a_tag_that_mjml_does_not_know_is_an_error(site: Settings, tmp_path: Path) -> None:
    mjml = column("<mj-text><mj-blink>Hello</mj-blink></mj-text>")

    with pytest.raises(NifError, match="MJML"):
        renderer(site, tmp_path, mjml=mjml).render("note")


def test_a_mail_that_would_be_clipped_is_too_large(site: Settings, tmp_path: Path) -> None:
    mail = renderer(site, tmp_path, mjml=column("<mj-text>{{ 'é' * n }}</mj-text>"))

    assert len(mail.render("note", n=MAX_HTML_BYTES // 2 - 5000).html.encode()) <= MAX_HTML_BYTES
    with pytest.raises(MailTooLarge, match="bytes of HTML"):
        mail.render("note", n=MAX_HTML_BYTES // 2)


def test_a_digest_is_html_without_a_trace_of_mjml(session: Session, services: Services) -> None:
    html = digest(session, services, a_story(session)).html

    assert "<mj" not in html
    assert html.lstrip().lower().startswith("<!doctype html")


def test_a_digest_has_its_links_in_text_and_html(session: Session, services: Services) -> None:
    story = a_story(session)
    message = digest(session, services, story)

    for part in (message.text, message.html):
        assert services.links.story(story.slug) in part
        assert all(tag in part for tag in TAGS)
        assert story.headline.upper() in part.upper()
    assert "%nif.reader%" in message.text
    assert "%nif.reader_html%" in message.html


def test_a_digest_has_the_postal_address_and_the_disclosures(
    session: Session, services: Services
) -> None:
    story = a_story(session)
    message = digest(session, services, story)

    assert services.settings.postal_address in message.text
    assert services.settings.postal_address in message.html
    assert story.block
    for sentence in story.block:
        assert " ".join(sentence["text"].split()) in " ".join(message.text.split()).replace(
            "* ", ""
        )


def test_a_digest_escapes_what_editors_write(session: Session, services: Services) -> None:
    story = a_story(session, headline="Rock & <Roll>", lead="<script>alert(1)</script>")
    message = digest(session, services, story)

    assert "<script>alert" not in message.html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in message.html
    assert "Rock &amp; &lt;Roll&gt;" in message.html
    assert "<script>alert(1)</script>" in message.text
    assert message.subject.startswith("Rock & <Roll>")


def test_the_list_id_of_a_list_is_plain_ascii(session: Session, services: Services) -> None:
    mailing_list = a_list(session, title='The "Café" List')

    assert format_list_id(Links("https://news.example.com"), mailing_list) == (
        '"The Caf List" <daily.news.example.com>'
    )


def test_the_footer_of_a_digest_has_the_root_of_the_ledger(
    session: Session, services: Services
) -> None:
    root = "3f2a3f2a3f2a3f2a"
    found: MailingList = a_list(session)

    with_it = write_digest_message(services.mail_writer, found, SLOT, [a_story(session)], root)
    without = write_digest_message(services.mail_writer, found, SLOT, [a_story(session)])

    for part in (with_it.text, with_it.html):
        assert f"Ledger {root}" in part
        assert services.links.ledger() in part
    for part in (without.text, without.html):
        assert "Ledger" not in part
        assert services.links.ledger() not in part
