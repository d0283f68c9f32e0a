"""Receiving a file: never more of it than is allowed, and judged by its bytes, not by its name."""

import hashlib
import mmap
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO, Protocol

from nif.errors import Invalid

CHUNK = 64 * 1024

OTHERS = (
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"BM", "BMP"),
    (b"8BPS", "Photoshop"),
    (b"%PDF", "PDF"),
    (b"PK\x03\x04", "ZIP"),
    (b"MZ", "program"),
    (b"\x7fELF", "program"),
)
"""What is often sent instead of a picture, by its first bytes, and what it is called."""

HIDDEN = re.compile(
    rb"<(?:script|iframe|html|!doctype\s+html)[\s>/]|<svg\s[^>]{0,300}xmlns|<\?php\s", re.IGNORECASE
)
"""A page or a script inside a picture: what a browser or a server could be tricked into running."""

# The description of a JUMBF box (ISO/IEC 19566-5): a UUID, a byte of toggles, then its label.
PROVENANCE = re.compile(rb"jumd.{17}c2pa|dcterms:provenance", re.DOTALL)
TOLD_SOURCE = re.compile(rb"digitalsourcetype/([A-Za-z]{4,60})")


class Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Received:
    """An upload in a temporary file. `kind` is Pillow's name of its format."""

    file: IO[bytes]
    sha256: str
    size: int
    kind: str
    had_provenance: bool
    source_told: str
    """The IPTC digital source type that the file itself names; empty where it names none."""


@contextmanager
def receive(stream: Stream, *, most: int) -> Iterator[Received]:
    """Take at most `most` bytes of `stream` into a temporary file that is gone afterwards.

    Neither memory nor disk grows with what is sent: at one byte more than `most` nothing is read
    any further. Raises Invalid, for the field `file`, with a sentence for the person who sent it.
    """
    with TemporaryFile() as file:
        sha256, size = _copy(stream, file, most)
        if not size:
            raise refused("This file is empty. Choose the picture again.")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            kind = kind_of(view[:64])
            if HIDDEN.search(view):
                raise refused(
                    "There is a web page or a script hidden in this file, so it is not taken. "
                    "Export the picture again from an image program, and send that."
                )
            told = TOLD_SOURCE.search(view)
            provenance = PROVENANCE.search(view) is not None
            source = told[1].decode() if told else ""
        file.seek(0)
        yield Received(file, sha256, size, kind, provenance, source)


def kind_of(head: bytes) -> str:
    """The format of a file that begins with `head`. Raises Invalid for all but five."""
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        return _kind_in_boxes(head)
    raise refused(_why_not(head))


def refused(sentence: str) -> Invalid:
    """What is wrong with a file, beside the field that it was chosen in."""
    return Invalid({"file": sentence})


def largest(most: int) -> str:
    """The sentence for a file that is too large; `most` in bytes."""
    return f"This file is too large: {most / 1_000_000:.3g} MB are the most. Nothing was saved."


def _copy(stream: Stream, file: IO[bytes], most: int) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while chunk := stream.read(CHUNK):
        size += len(chunk)
        if size > most:
            raise refused(largest(most))
        digest.update(chunk)
        file.write(chunk)
    file.flush()
    return digest.hexdigest(), size


def _kind_in_boxes(head: bytes) -> str:
    """AVIF and its relatives differ in the brands that their first box names."""
    brands = head[8 : min(int.from_bytes(head[:4]), len(head))]
    if b"avif" in brands or b"avis" in brands:
        return "AVIF"
    if any(brand in brands for brand in (b"heic", b"heix", b"mif1", b"hevc")):
        raise refused(
            "This is a HEIC photograph, as telephones make them. Export it as JPEG, and send that."
        )
    raise refused("This is a film, not a picture. Send a still of it as JPEG.")


def _why_not(head: bytes) -> str:
    plain = head.removeprefix(b"\xef\xbb\xbf").replace(b"\0", b"").lstrip(b" \t\r\n\xff\xfe")
    if plain.startswith(b"<"):
        return (
            "This is SVG, HTML or XML, whatever its name says, and can carry scripts. "
            "Export it as PNG, and send that."
        )
    for signature, called in OTHERS:
        if head.startswith(signature):
            return f"This is a {called} file. Send a JPEG, PNG, WebP, AVIF or GIF."
    return "This is no picture that we can read. Send a JPEG, PNG, WebP, AVIF or GIF."
