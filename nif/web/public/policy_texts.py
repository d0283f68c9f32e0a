"""NIF's policies: texts of the newsroom, each version of them in a file that stays.

A text lies in `templates/public/policies/texts/<slug>/<version>.html`: a few lines of TOML, a line
`+++`, and the text as a template. A new version is a new file with the next number; nobody
changes an old one.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from nif.ledger.policies import Policy
from nif.settings import PROJECT

MANIFESTO = "manifesto"
TEXTS = PROJECT / "templates" / "public" / "policies" / "texts"
END_OF_HEAD = "\n+++\n"


@dataclass(frozen=True)
class Text:
    """One version of a policy. `change` says what is new in it; `body` is a template."""

    version: int
    title: str
    summary: str
    effective_from: date
    change: str
    body: str


def read_texts(folder: Path) -> Mapping[str, Sequence[Text]]:
    """The policies by slug, the manifesto first, each with its versions, the newest first."""
    return {
        path.name: sorted(map(_read, path.iterdir()), key=lambda text: -text.version)
        for path in sorted(folder.iterdir(), key=lambda path: (path.name != MANIFESTO, path.name))
        if path.is_dir()
    }


def for_the_ledger(policies: Mapping[str, Sequence[Text]]) -> list[Policy]:
    """Every version of every policy, in the order in which they came into force."""
    said = [
        Policy(slug, text.version, text.title, text.change, text.effective_from, text.body)
        for slug, versions in policies.items()
        for text in reversed(versions)
    ]
    return sorted(said, key=lambda policy: policy.effective_from)


def _read(path: Path) -> Text:
    head, _, body = path.read_text(encoding="utf-8").partition(END_OF_HEAD)
    return Text(version=int(path.stem), body=body, **tomllib.loads(head))


POLICIES = read_texts(TEXTS)
