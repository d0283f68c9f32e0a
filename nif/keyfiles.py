"""The key that a development house makes for itself."""

import secrets
from contextlib import suppress
from pathlib import Path


def read_or_create_key(folder: Path) -> str:
    """A development key, made once, so that links in mail outlive a restart."""
    path = folder / "secret_key"
    if not path.exists() or not path.read_text().strip():
        folder.mkdir(parents=True, exist_ok=True)
        whole = folder / f"secret_key.{secrets.token_hex(4)}"
        whole.touch(mode=0o600)
        whole.write_text(secrets.token_urlsafe(48))
        _move_into_place_once(whole, path)
    return path.read_text().strip()


def _move_into_place_once(whole: Path, path: Path) -> None:
    """Move a whole key into place, unless another process was first: both must read the same."""
    if path.exists() and not path.read_text().strip():
        path.unlink(missing_ok=True)
    with suppress(FileExistsError):
        path.hardlink_to(whole)
    whole.unlink()
