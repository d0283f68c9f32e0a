"""Files in a bucket that speaks S3, by obstore: the extra `s3`, loaded only where it is wanted."""

from collections.abc import Iterable

from obstore.exceptions import BaseError, NotFoundError
from obstore.store import ObjectStore, from_url

from nif.errors import Misconfigured, NotFound
from nif.media.storing import TYPES, checked

FOREVER = "public, max-age=31536000, immutable"


class Bucket:
    """Files in a store of obstore's. Keys and addresses of the provider come from `AWS_…`."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def put(self, name: str, data: bytes) -> None:
        # What a network of caches before the bucket would hand on.
        kind = TYPES.get(name.rpartition(".")[2], "application/octet-stream")
        self._store.put(
            _key(name), data, attributes={"Content-Type": kind, "Cache-Control": FOREVER}
        )

    def get(self, name: str) -> bytes:
        try:
            return bytes(self._store.get(_key(name)).bytes())
        except (NotFoundError, FileNotFoundError):
            raise NotFound("There is no such picture.") from None

    def delete(self, names: Iterable[str]) -> None:
        for name in names:
            try:
                self._store.delete(_key(name))
            except (NotFoundError, FileNotFoundError):
                continue


def open_bucket(url: str) -> Bucket:
    """Raises Misconfigured for an address that names no bucket."""
    try:
        return Bucket(from_url(url))
    except (BaseError, ValueError) as error:
        raise Misconfigured(f"NIF_MEDIA_URL cannot be used: {error}") from None


def _key(name: str) -> str:
    return f"{checked(name)[:2]}/{name[2:4]}/{name}"
