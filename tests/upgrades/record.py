"""Record a filled database of the newest schema: python -m tests.upgrades.record

It holds the demo newsroom and one row in every table that the demo leaves empty. Run it once for
each new migration, and commit the file; never record an old schema again.
"""

import gzip
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa

from nif.cli.installation import load_demo_once
from nif.cli.ledger import record_policies
from nif.clock import utc_now
from nif.database import Base, Database
from nif.ledger.checkpoints import create_checkpoint
from nif.schema import newest_revision, upgrade_schema
from nif.services import build_services
from nif.settings import load_settings
from tests.upgrades.rows import fill_with_samples, to_json

FOLDER = Path(__file__).parent / "schemas"


def main() -> int:
    path = FOLDER / f"{newest_revision()}.json.gz"
    if path.exists():
        print(f"{path.name} is recorded already.", file=sys.stderr)
        return 1
    with TemporaryDirectory() as folder:
        rows = record(Path(folder))
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps(rows, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{path.name}: {sum(map(len, rows.values())):,} rows, {path.stat().st_size:,} bytes")
    return 0


def record(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Every row of a filled database, by table."""
    settings = load_settings(
        _env_file=None,
        env="testing",
        database_url=f"sqlite:///{folder}/nif.db",
        queue_url=str(folder / "queue.db"),
        instance_dir=folder,
        secret_key="a key for tests that is quite long enough",
    )
    services = build_services(settings)
    upgrade_schema(services.database)
    load_demo_once(services)
    record_policies(services)
    with services.database.transaction() as session:
        create_checkpoint(session, settings.ledger_key, may_make_key=True, now=utc_now())
    try:
        return _read_rows(services.database)
    finally:
        services.database.close()


def _read_rows(database: Database) -> dict[str, list[dict[str, Any]]]:
    tables = Base.metadata.sorted_tables
    with database.engine.begin() as connection:
        fill_with_samples(connection, tables)
        return {
            table.name: [
                {name: to_json(value) for name, value in row.items()}
                for row in connection.execute(sa.select(table)).mappings()
            ]
            for table in tables
        }


if __name__ == "__main__":
    sys.exit(main())
