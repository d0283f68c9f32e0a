"""Turning the templates of a mail into a message: subject, text, and HTML by way of MJML."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import mrml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from nif.errors import NifError
from nif.mail.message import Message
from nif.settings import PROJECT, Settings
from nif.typography import legible, linked, typeset

TEMPLATES = PROJECT / "templates" / "emails"
LARGEST_HTML = 100_000
"""Bytes. Gmail clips a mail over about 102 KB, and with it the link to leave."""

PLAIN = "!#$%&'()*+,/:;=?@[]~"
"""What stands in an address as it is, beside letters and digits."""


class TooLarge(NifError):
    """The mail would be clipped by its reader's mail program."""


class Stationery:
    """Writes mails in the house's name, from `templates/emails/<name>/`."""

    def __init__(self, settings: Settings, folder: Path = TEMPLATES) -> None:
        self._settings = settings
        self._plain = _environment(folder, escape=False)
        self._marked_up = _environment(folder, escape=True)

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
        house = self._settings
        words = {"house": house, "language": language or house.language, **words}
        subject = self._plain.get_template(f"{name}/subject.txt").render(words)
        html = _from_mjml(self._marked_up.get_template(f"{name}/body.mjml").render(words))
        return Message(
            from_address=house.mail_from,
            from_name=" ".join(legible(sender).split()) or house.mail_from_name,
            subject=" ".join(subject.split()),
            text=self._plain.get_template(f"{name}/body.txt").render(words).strip() + "\n",
            html=html,
            headers=headers or {},
        )


@cache
def _environment(folder: Path, *, escape: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=escape,  # noqa: S701  (subject and text are no HTML)
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_legible,
    )
    environment.filters.update(typeset=typeset, linked=_linked)
    return environment


def _legible(value: object) -> object:
    """A value without what MJML, which is XML, cannot hold: one such letter would stop a mail."""
    return type(value)(legible(value)) if isinstance(value, str) else value


def _linked(sentence: Mapping[str, Any]) -> Markup:
    """A sentence with its links, in plain ASCII: the MJML compiler spoils all else in addresses."""
    links = [[words, quote(address, safe=PLAIN)] for words, address in sentence["links"]]
    return linked({**sentence, "links": links})


def _from_mjml(source: str) -> str:
    # Left alone, the compiler has mail programs fetch web fonts from another house.
    html = mrml.to_html(source, render_options=mrml.RenderOptions(fonts={})).content
    if "<mj-" in html:
        # The compiler lets tags through that it does not know.
        raise NifError("a mail template holds a tag that MJML does not know")
    if len(html.encode()) > LARGEST_HTML:
        raise TooLarge(f"The mail has {len(html.encode()):,} bytes of HTML; mail programs cut it.")
    return html
