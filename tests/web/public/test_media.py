"""Picture files as browsers request them."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from nif import app as nif_app
from nif.media.storage import content_file_name
from nif.services import Services, build_services
from nif.settings import Settings

NAME = content_file_name(b"a file", "webp", of="x")


@pytest.fixture
def database_url(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """No row is asked for here: once is enough."""
    path = tmp_path / "nif.db"
    path.write_bytes(request.getfixturevalue("_sqlite_template").read_bytes())
    return f"sqlite:///{path}"


def test_a_media_file_is_cached_for_ever_and_cannot_run_scripts(
    client: FlaskClient, services: Services
) -> None:
    services.storage.put(NAME, b"a file")

    answer = client.get(f"/media/{NAME}")

    assert (answer.status_code, answer.data) == (200, b"a file")
    assert answer.headers["Content-Type"] == "image/webp"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "Set-Cookie" not in answer.headers
    assert "Vary" not in answer.headers
    again = client.get(f"/media/{NAME}", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize(
    "name",
    [
        NAME,
        "../nif.db",
        "..%2f..%2fnif.db",
        "%2e%2e/nif.db",
        f"{NAME}%00.jpg",
        f"{NAME[:2]}/{NAME}",
        NAME.upper(),
        NAME.replace(".webp", ".svg"),
        NAME.replace(".webp", ".master"),
    ],
)
def test_only_media_files_are_served(client: FlaskClient, services: Services, name: str) -> None:
    services.storage.put(NAME.replace(".webp", ".master"), b"a master")

    answer = client.get(f"/media/{name}")

    assert answer.status_code in {400, 404}
    assert answer.headers["Cache-Control"] == "no-store"


def test_pictures_of_another_host_are_allowed_by_the_setting_only(settings: Settings) -> None:
    base = "https://media.example.com/nif"
    services = build_services(settings.model_copy(update={"media_base_url": base}))
    app = nif_app.build_app(services)

    policy = app.test_client().get("/healthz").headers["Content-Security-Policy"]
    with app.app_context():
        address = app.jinja_env.globals["media"](NAME)
    services.database.close()

    assert "img-src 'self' data: https://media.example.com;" in policy
    assert address == services.links.picture(NAME) == f"{base}/{NAME}"
