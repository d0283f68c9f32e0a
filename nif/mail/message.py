"""Messages, and writing them from templates: subject, text, and HTML compiled from MJML."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import mrml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from nif.errors import NifError
from nif.links import Links
from nif.settings import PROJECT, Settings
from nif.tokens import Tokens
from nif.typography import link_names, replace_invalid_xml, typeset

EMAIL_TEMPLATES = PROJECT / "templates" / "emails"
MAX_HTML_BYTES = 100_000
"""Gmail clips a mail over about 102 KB, and the unsubscribe link with it."""

UNQUOTED_IN_ADDRESSES = "!#$%&'()*+,/:;=?@[]~"
"""The characters that a web address may hold unquoted, besides letters and digits."""


class MailTooLarge(NifError):
    """Mail programs would clip the mail."""


class Sender(NamedTuple):
    """The address and name in From."""

    address: str
    name: str

    def __str__(self) -> str:
        return f"{self.name} <{self.address}>"

    def under(self, name: str) -> "Sender":
        """The same address under another name; under its own where that one is empty."""
        return Sender(self.address, " ".join(replace_invalid_xml(name).split()) or self.name)


@dataclass(frozen=True)
class Message:
    """The content that all copies of a message share.

    Text and HTML may hold placeholders such as `%nif.unsubscribe%`, which each copy fills.
    """

    from_address: str
    from_name: str
    subject: str
    text: str
    html: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def sender(self) -> Sender:
        return Sender(self.from_address, self.from_name)

    def sent_by(self, sender: Sender) -> "Message":
        return replace(self, from_address=sender.address, from_name=sender.name)


class MessageCopy(NamedTuple):
    """What is specific to one subscriber's copy of a message.

    The provider returns `custom_args` with every event about the copy. They hold opaque ids, never
    an email address. `substitutions` maps placeholders to their values.
    """

    address: str
    custom_args: dict[str, str]
    headers: dict[str, str]
    substitutions: dict[str, str]


def fill_placeholders(text: str, substitutions: Mapping[str, str]) -> str:
    """`text` with its placeholders replaced, as the provider replaces them."""
    for placeholder, value in substitutions.items():
        text = text.replace(placeholder, value)
    return text


class TemplateRenderer:
    """Renders messages in the site's name from `templates/emails/<name>/`."""

    def __init__(self, settings: Settings, folder: Path = EMAIL_TEMPLATES) -> None:
        self._settings = settings
        self._plain = _template_environment(folder, escape=False)
        self._marked_up = _template_environment(folder, escape=True)

    def render(
        self,
        name: str,
        *,
        headers: dict[str, str] | None = None,
        sender: str = "",
        language: str = "",
        **variables: Any,
    ) -> Message:
        """The message from the templates called `name`, with `variables`.

        `sender` is the name in `From` and `language` a BCP 47 tag; both default to the site's.
        Raises MailTooLarge where mail programs would clip the HTML.
        """
        site = self._settings
        variables = {"site": site, "language": language or site.language, **variables}
        subject = self._plain.get_template(f"{name}/subject.txt").render(variables)
        text = self._plain.get_template(f"{name}/body.txt").render(variables)
        mjml = self._marked_up.get_template(f"{name}/body.mjml").render(variables)
        from_address, from_name = Sender(site.mail_from, site.mail_from_name).under(sender)
        return Message(
            from_address=from_address,
            from_name=from_name,
            subject=" ".join(subject.split()),
            text=text.strip() + "\n",
            html=_compile_mjml(mjml),
            headers=headers or {},
        )


@dataclass(frozen=True)
class MailWriter:
    """What writing a mail needs: the templates, the site's addresses and the links' tokens."""

    renderer: TemplateRenderer
    links: Links
    tokens: Tokens


@cache
def _template_environment(folder: Path, *, escape: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=escape,  # noqa: S701  (subject and text are not HTML)
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_without_invalid_xml,
    )
    environment.filters.update(typeset=typeset, linked=_link_names_in_ascii)
    return environment


def _without_invalid_xml(value: object) -> object:
    """A value that MJML, which is XML, can hold: one invalid character would stop the mail."""
    return type(value)(replace_invalid_xml(value)) if isinstance(value, str) else value


def _link_names_in_ascii(sentence: Mapping[str, Any]) -> Markup:
    """A sentence with its links in ASCII: the MJML compiler corrupts other characters in them."""
    links = [
        [name, quote(address, safe=UNQUOTED_IN_ADDRESSES)] for name, address in sentence["links"]
    ]
    return link_names({**sentence, "links": links})


def _compile_mjml(source: str) -> str:
    # With its default fonts, the compiler makes mail programs load web fonts from Google.
    html = mrml.to_html(source, render_options=mrml.RenderOptions(fonts={})).content
    if "<mj-" in html:
        # The compiler passes unknown tags through.
        raise NifError("a mail template holds a tag that MJML does not know")
    size = len(html.encode())
    if size > MAX_HTML_BYTES:
        raise MailTooLarge(f"The mail has {size:,} bytes of HTML; mail programs clip it.")
    return html
