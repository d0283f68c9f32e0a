"""Files to upload: valid ones and hostile ones."""

import struct
import zlib
from io import BytesIO
from typing import Any

from PIL import Image, ImageDraw

GPS = 0x8825
ORIENTATION = 0x0112
ARTIST = 0x013B


def a_picture(width: int = 900, height: int = 600) -> Image.Image:
    """Red to the left, blue to the right, with a white corner at the upper left."""
    image = Image.new("RGB", (width, height), "blue")
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 0, width // 2, height), fill="red")
    pen.rectangle((0, 0, width // 6, height // 6), fill="white")
    return image


def a_file(kind: str = "JPEG", image: Image.Image | None = None, **options: Any) -> bytes:
    buffer = BytesIO()
    (image or a_picture()).save(buffer, kind, **options)
    return buffer.getvalue()


def with_exif(orientation: int = 1) -> bytes:
    """A JPEG with EXIF data: place, owner and orientation."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    exif[ARTIST] = "Secret Source"
    exif.get_ifd(GPS).update({1: "N", 2: (51.0, 30.0, 26.0), 3: "W", 4: (0.0, 7.0, 39.0)})
    return a_file(exif=exif, comment=b"Secret Source", xmp=b"<x>Secret Source</x>")


def a_bomb(width: int = 60_000, height: int = 60_000) -> bytes:
    """A PNG of a few hundred bytes that declares 3,600 million pixels."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 100_000)
    chunks = (_chunk(b"IHDR", head), _chunk(b"IDAT", body), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def a_moving_gif(frames: int) -> bytes:
    first, *rest = (Image.new("P", (300, 200), n % 256) for n in range(frames))
    return a_file("GIF", first, save_all=True, append_images=rest)


def _chunk(name: bytes, data: bytes) -> bytes:
    checked = name + data
    return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))


class Endless:
    """An endless stream that counts the bytes that were read."""

    def __init__(self, head: bytes = b"\xff\xd8\xff") -> None:
        self._head = head
        self.read_so_far = 0

    def read(self, size: int = -1) -> bytes:
        assert size > 0, "nobody may ask for all of it"
        head, self._head = self._head, b""
        self.read_so_far += size
        return head + b"\0" * (size - len(head))
