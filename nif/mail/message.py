"""What is mailed: one message, and the copies of it that go to its readers.

Turning the templates of a mail into a message: subject, text, and HTML by way of MJML.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import mrml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from nif.errors import NifError
from nif.settings import PROJECT, Settings
from nif.typography import link_names, replace_invalid_xml, typeset


@dataclass(frozen=True)
class Message:
    """What every reader of a message gets alike.

    Text and HTML may hold tags such as `%nif.unsubscribe%`, which each copy replaces.
    """

    from_address: str
    from_name: str
    subject: str
    text: str
    html: str
    headers: Mapping[str, str] = field(default_factory=dict)


class MessageCopy(NamedTuple):
    """What one reader's copy has of its own.

    `marks` come back with every event about the copy; they hold opaque ids, never an address.
    """

    address: str
    custom_args: dict[str, str]
    headers: dict[str, str]
    substitutions: dict[str, str]


def fill_placeholders(text: str, values: Mapping[str, str]) -> str:
    """`text` with each tag replaced, as the provider replaces them."""
    for tag, value in values.items():
        text = text.replace(tag, value)
    return text


EMAIL_TEMPLATES = PROJECT / "templates" / "emails"
MAX_HTML_BYTES = 100_000
"""Bytes. Gmail clips a mail over about 102 KB, and with it the link to leave."""

UNQUOTED_IN_ADDRESSES = "!#$%&'()*+,/:;=?@[]~"
"""What stands in an address as it is, beside letters and digits."""


class MailTooLarge(NifError):
    """The mail would be clipped by its reader's mail program."""


class TemplateRenderer:
    """Writes mails in the house's name, from `templates/emails/<name>/`."""

    def __init__(self, settings: Settings, folder: Path = EMAIL_TEMPLATES) -> None:
        self._settings = settings
        self._plain = _template_environment(folder, escape=False)
        self._marked_up = _template_environment(folder, escape=True)

    def write(
        self,
        name: str,
        *,
        headers: dict[str, str] | None = None,
        sender: str = "",
        language: str = "",
        **words: Any,
    ) -> Message:
        """The mail called `name`, with `words` for its templates.

        `sender` is the name that it comes from and `language` its BCP 47 tag, where they are not
        the house's. Raises TooLarge where the HTML would be clipped.
        """
        site = self._settings
        words = {"site": site, "language": language or site.language, **words}
        subject = self._plain.get_template(f"{name}/subject.txt").render(words)
        html = _compile_mjml(self._marked_up.get_template(f"{name}/body.mjml").render(words))
        return Message(
            from_address=site.mail_from,
            from_name=" ".join(replace_invalid_xml(sender).split()) or site.mail_from_name,
            subject=" ".join(subject.split()),
            text=self._plain.get_template(f"{name}/body.txt").render(words).strip() + "\n",
            html=html,
            headers=headers or {},
        )


@cache
def _template_environment(folder: Path, *, escape: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=escape,  # noqa: S701  (subject and text are no HTML)
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_without_invalid_xml,
    )
    environment.filters.update(typeset=typeset, linked=_link_names_in_ascii)
    return environment


def _without_invalid_xml(value: object) -> object:
    """A value without what MJML, which is XML, cannot hold: one such letter would stop a mail."""
    return type(value)(replace_invalid_xml(value)) if isinstance(value, str) else value


def _link_names_in_ascii(sentence: Mapping[str, Any]) -> Markup:
    """A sentence with its links, in plain ASCII: the MJML compiler spoils all else in addresses."""
    links = [
        [words, quote(address, safe=UNQUOTED_IN_ADDRESSES)] for words, address in sentence["links"]
    ]
    return link_names({**sentence, "links": links})


def _compile_mjml(source: str) -> str:
    # Left alone, the compiler has mail programs fetch web fonts from another house.
    html = mrml.to_html(source, render_options=mrml.RenderOptions(fonts={})).content
    if "<mj-" in html:
        # The compiler lets tags through that it does not know.
        raise NifError("a mail template holds a tag that MJML does not know")
    if len(html.encode()) > MAX_HTML_BYTES:
        raise MailTooLarge(
            f"The mail has {len(html.encode()):,} bytes of HTML; mail programs cut it."
        )
    return html
