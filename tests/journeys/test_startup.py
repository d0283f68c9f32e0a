"""A start that cannot succeed stops with one sentence."""

import socket
from pathlib import Path

import pytest

from tests.journeys.installation import Installation

UNREACHABLE = "postgresql://nobody:secret@127.0.0.1:1/none"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mailer": "sendgrid"}, "NIF_SENDGRID_API_KEY"),
        ({"base_url": "nif.example"}, "NIF_BASE_URL"),
        ({"database_url": UNREACHABLE}, "cannot be reached"),
        ({"time_zone": "Mars/Olympus"}, "NIF_TIME_ZONE"),
        ({"env": "production"}, "NIF_SECRET_KEY"),
        ({}, "nif db upgrade"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_a_sentence(
    tmp_path: Path, settings: dict[str, str], message: str
) -> None:
    settings = {"database_url": f"sqlite:///{tmp_path}/empty.db", **settings}
    with Installation(tmp_path, **settings) as installation:
        ended = installation.run("worker" if "mailer" in settings else "serve")

    assert ended.returncode == 1
    assert message in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
    assert "Traceback" not in ended.stderr
    assert "secret" not in ended.stderr.lower().replace("nif_secret_key", "")


def test_a_port_in_use_is_named_with_an_alternative(tmp_path: Path) -> None:
    with (
        Installation(tmp_path, f"sqlite:///{tmp_path}/nif.db") as installation,
        socket.socket() as taken,
    ):
        taken.bind(("127.0.0.1", installation.port))
        taken.listen()
        ended = installation.run("run")

    assert ended.returncode == 1
    assert f"Port {installation.port}" in ended.stderr
    assert f"PORT={installation.port + 1} make run" in ended.stderr
