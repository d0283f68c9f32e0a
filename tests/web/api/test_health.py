"""Health checks: alive, and ready to serve."""

from pathlib import Path

from flask.testing import FlaskClient

from nif.app import build_app
from nif.services import build_services
from nif.settings import load_settings


def test_a_working_installation_is_alive_and_ready(client: FlaskClient) -> None:
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").json == {"status": "ok"}


def test_a_database_without_tables_is_not_ready(tmp_path: Path) -> None:
    services = build_services(load_settings(_env_file=None, instance_dir=tmp_path))
    client = build_app(services).test_client()

    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503
    assert "not migrated" in client.get("/readyz").text
    services.database.close()
