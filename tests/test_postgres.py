from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests import postgres
from tests.waiting import wait_until

START_AND_WAIT = """
import time
from tests import postgres
print(postgres.start().folder, flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def cluster():
    try:
        with postgres.cluster() as own:
            yield own
    except postgres.Unavailable as problem:
        pytest.skip(f"PostgreSQL: {problem}")


def test_a_database_outlives_a_crash_of_its_server(cluster):
    url = cluster.create_database("nif_test_crash")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")

    cluster.restart("immediate")

    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)


def test_only_databases_of_the_tests_can_be_dropped(cluster):
    with pytest.raises(ValueError, match="nif_test_"):
        cluster.drop_database("postgres")


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_test_run_leaves_neither_server_nor_folder(cluster, end):
    run = subprocess.Popen([sys.executable, "-c", START_AND_WAIT], stdout=subprocess.PIPE)
    folder = Path(run.stdout.readline().decode().strip())
    assert folder.exists()

    run.send_signal(end)
    run.communicate()

    wait_until(lambda: not folder.exists(), "the folder is gone")
