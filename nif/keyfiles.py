"""The secret key that a development installation creates for itself."""

import secrets
from contextlib import suppress
from pathlib import Path


def read_or_create_key(folder: Path) -> str:
    """A development key, created once, so that links in mail stay valid after a restart."""
    path = folder / "secret_key"
    if not path.exists() or not path.read_text().strip():
        folder.mkdir(parents=True, exist_ok=True)
        written = folder / f"secret_key.{secrets.token_hex(4)}"
        written.touch(mode=0o600)
        written.write_text(secrets.token_urlsafe(48))
        _move_into_place_once(written, path)
    return path.read_text().strip()


def _move_into_place_once(written: Path, path: Path) -> None:
    """Move a key into place unless another process was first: both must read the same key."""
    if path.exists() and not path.read_text().strip():
        path.unlink(missing_ok=True)
    with suppress(FileExistsError):
        path.hardlink_to(written)
    written.unlink()
