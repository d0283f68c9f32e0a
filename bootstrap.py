"""Set NIF up in this folder, then do what is asked: python3 bootstrap.py COMMAND [ARGUMENTS]

Commands:
  run         serve NIF with its demo newsroom
  test        the whole suite; further arguments go to pytest
  test-quick  the suite on SQLite, without browser, journeys, proofs and upgrades
  test-one    what its arguments name, on SQLite, in one process: tests/test_slugs.py, -k slug
  lint        ruff, mypy and import-linter
  check       lint, then test
  bench       the figures of pages and sends
  bench-send    the figures of sends
  bench-events  the figures of the event webhook
  bench-import  the figures of imports and exports
  bench-ledger  the figures of the public ledger
  bench-audience  the figures of a million subscribers on the desk
  bench-signups   the figures of the sign-up doors
  bench-newsroom  the figures of the newsroom's pages
  prove         the proofs of sending, in their long form
  setup       set up, and no more
"""

# Only the standard library, and nothing newer than Python 3.6: an old Python must get far enough
# to look for a newer one, or to say that it is too old. Everything is said on stderr, because the
# stdout of a bench is for machines.

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Dict, Iterator, List, Optional

ROOT = Path(__file__).resolve().parent
LOCKS = ROOT / "locks"
TOOLS = ROOT / ".tools"
VENV = ROOT / ".venv"
BIN = VENV / "bin"
PYTHON = str(BIN / "python")
STAMP = VENV / "nif-is-set-up"

PYTEST = [PYTHON, "-m", "pytest"]
CORES = os.cpu_count() or 1
# One more than there are cores: what drives a browser or waits for PostgreSQL leaves a core idle.
TEST = [*PYTEST, "-n", str(min(4, CORES + 1)), "--dist", "worksteal"]
NOT_QUICK = (
    *("corpus", "demo", "journeys", "prove", "standin", "test_bench.py", "test_postgres.py"),
    *("rules/test_migrations.py", "upgrades"),
)
QUICK = [
    *PYTEST,
    *("-n", str(min(4, CORES)), "--dist", "worksteal"),
    *(f"--ignore=tests/{name}" for name in NOT_QUICK),
]
LINT = [
    [str(BIN / "ruff"), "check", "."],
    [str(BIN / "ruff"), "format", "--check", "."],
    [str(BIN / "mypy")],
    [str(BIN / "lint-imports")],
]
COMMANDS: Dict[str, List[List[str]]] = {
    "run": [[str(BIN / "nif"), "run"]],
    "test": [TEST],
    "test-quick": [QUICK],
    "test-one": [PYTEST],
    "lint": LINT,
    "check": [*LINT, TEST],
    "bench": [[PYTHON, "-m", "bench"]],
    "bench-send": [[PYTHON, "-m", "bench.sends"]],
    "bench-events": [[PYTHON, "-m", "bench.events"]],
    "bench-import": [[PYTHON, "-m", "bench.imports"]],
    "bench-ledger": [[PYTHON, "-m", "bench.ledger"]],
    "bench-audience": [[PYTHON, "-m", "bench.subscribers"], [PYTHON, "-m", "bench.analytics"]],
    "bench-signups": [[PYTHON, "-m", "bench.signups"]],
    "bench-newsroom": [[PYTHON, "-m", "bench.newsroom"]],
    "prove": [[PYTHON, "-m", "tests.prove"]],
    "setup": [],
}

# The newest Python is left alone until every package has wheels for it.
SUITS = "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))"
NO_PYTHON = (
    "NIF runs on Python 3.11 to 3.14. This is Python {}, and none of those was found or could be "
    "fetched by uv. Install one (Debian 12, Ubuntu 24.04: apt install python3) and try again."
)
NO_INSTALLER = (
    "{} has neither pip nor venv, so it cannot install anything. "
    "Debian and Ubuntu have both in packages: apt install python3-pip python3-venv"
)
NO_PACKAGES = "The set-up is not complete: see above. The first one needs the network."


class SetUpFailed(Exception):
    """Nothing more can be done; its text tells the person why, and what would help."""


def main(arguments: List[str]) -> int:
    command, rest = (arguments or ["help"])[0], arguments[1:]
    if command not in COMMANDS:
        say(__doc__ or "")
        return 0 if command in ("help", "-h", "--help") else 2
    os.chdir(str(ROOT))
    if command in ("test-quick", "test-one"):
        os.environ.setdefault("NIF_TEST_ON", "sqlite")
    # Without its cache, pytest would compile every module of the tests again in every worker.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        set_up("run" if command in ("run", "setup") else "test")
    except (SetUpFailed, OSError) as problem:
        say(str(problem))
        return 1
    if command == "setup":
        return 0
    *first, last = COMMANDS[command]
    return do([*first, [*last, *rest]])


def say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def do(steps: List[List[str]]) -> int:
    """Become the only step, or take all of them, whatever each one says, and sum up."""
    if len(steps) == 1:
        # Its signals and its exit status then need no passing on.
        os.execv(steps[0][0], steps[0])
    failed = []
    for step in steps:
        name = " ".join(step).replace(f"{BIN}/", "")
        say(f"\n$ {name}")
        if subprocess.call(step) != 0:
            failed.append(name)
    say("\nFailed: " + ", ".join(failed) if failed else "\nAll is well.")
    return 1 if failed else 0


# Setting up: a stamp, written last, tells whether .venv is whole and of these very locks.


def set_up(kind: str) -> None:
    """Make .venv hold what locks/<kind>.txt says. "test" holds all of "run" too."""
    if is_set_up(kind):
        return
    with one_at_a_time():
        if is_set_up(kind):
            return
        began = time.monotonic()
        say("Setting up (once)…")
        if not may_be_updated():
            shutil.rmtree(str(VENV), ignore_errors=True)
        if STAMP.exists():
            STAMP.unlink()
        install(kind)
        STAMP.write_text(stamp(kind), encoding="utf-8")
        say(f"Set up in {time.monotonic() - began:.1f} s.")


def is_set_up(kind: str) -> bool:
    return may_be_updated() and read_stamp() in (stamp(kind), stamp("test"))


def may_be_updated() -> bool:
    """Whether .venv was once complete, and neither its folder nor its Python moved since."""
    return read_stamp().startswith(f"{ROOT}\n") and Path(PYTHON).exists()


def read_stamp() -> str:
    return STAMP.read_text(encoding="utf-8") if STAMP.exists() else ""


def stamp(kind: str) -> str:
    digest = hashlib.sha256()
    for path in (ROOT / "pyproject.toml", LOCKS / "run.txt", LOCKS / "test.txt"):
        digest.update(path.read_bytes())
    return f"{ROOT}\n{digest.hexdigest()} {kind}\n"


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let `make run` and `make test` in two terminals set up one after the other."""
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install(kind: str) -> None:
    python = find_python()
    uv = find_uv() or bring_uv(python)
    if not (uv and install_with_uv(uv, python, kind)):
        if python is None:
            version = sys.version.split()[0]
            raise SetUpFailed(NO_PACKAGES if VENV.exists() else NO_PYTHON.format(version))
        install_with_pip(python, kind)
    call(PYTHON, "-m", "compileall", "-q", "nif")


def find_python() -> Optional[str]:
    """This Python, or another that suits; never the one in .venv, which may be rebuilt."""
    others = (shutil.which(f"python3.{minor}") for minor in (14, 13, 12, 11))
    this = getattr(sys, "_base_executable", sys.executable)
    for python in (this, *(os.path.realpath(other) for other in others if other)):
        if works(python, "-c", SUITS):
            return python
    return None


def find_uv() -> Optional[str]:
    for uv in (shutil.which("uv"), str(TOOLS / "bin" / "uv")):
        if uv and works(uv, "--version"):
            return uv
    return None


def bring_uv(python: Optional[str]) -> Optional[str]:
    """Put uv into .tools: a pip that refuses to touch the system (PEP 668) allows --target."""
    for pip in (python, sys.executable):
        if pip and works(pip, "-m", "pip", "--version"):
            say("Fetching uv…")
            options = ["--quiet", "--upgrade", "--only-binary=:all:", "--target", str(TOOLS)]
            call(pip, "-m", "pip", "install", *options, "--require-hashes", "-r", "locks/uv.txt")
            return find_uv()
    return None


def install_with_uv(uv: str, python: Optional[str], kind: str) -> bool:
    say("Installing with uv…")
    quiet = [] if sys.stderr.isatty() else ["--quiet"]
    pip = [uv, "pip", "install", *quiet, "--python", PYTHON]
    return (
        (VENV.exists() or call(uv, "venv", "--quiet", "--python", python or "3.13", ".venv"))
        and call(*pip, "--require-hashes", "--compile-bytecode", "-r", f"locks/{kind}.txt")
        and call(*pip, "--no-deps", "--no-build-isolation", "-e", ".")
    )


def install_with_pip(python: str, kind: str) -> None:
    say("Installing with pip…")
    shutil.rmtree(str(VENV), ignore_errors=True)
    if works(python, "-c", "from ensurepip import version"):
        made = call(python, "-m", "venv", ".venv")
        pip = [PYTHON, "-m", "pip", "install", "--quiet"]
    elif works(python, "-m", "pip", "--version"):
        made = call(python, "-m", "venv", "--without-pip", ".venv")
        pip = [python, "-m", "pip", "--python", PYTHON, "install", "--quiet"]
    else:
        raise SetUpFailed(NO_INSTALLER.format(python))
    if not (
        made
        and call(*pip, "--require-hashes", "-r", f"locks/{kind}.txt")
        and call(*pip, "--no-deps", "--no-build-isolation", "-e", ".")
    ):
        raise SetUpFailed(NO_PACKAGES)


def call(*command: str) -> bool:
    null = subprocess.DEVNULL
    return subprocess.call(command, stdin=null, stdout=sys.stderr, env=environment()) == 0


def works(*command: str) -> bool:
    null = subprocess.DEVNULL
    try:
        return subprocess.call(command, stdin=null, stdout=null, stderr=null) == 0
    except OSError:
        return False


def environment() -> Dict[str, str]:
    """This environment, less the settings that would stop pip, plus what uv does not know of it."""
    ours = dict(os.environ, PIP_USER="0", PIP_REQUIRE_VIRTUALENV="0", PIP_ROOT_USER_ACTION="ignore")
    ours["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    for theirs, uvs in (("PIP_INDEX_URL", "UV_DEFAULT_INDEX"), ("PIP_CERT", "SSL_CERT_FILE")):
        if theirs in ours:
            ours.setdefault(uvs, ours[theirs])
    if not home_is_writable():
        ours.setdefault("XDG_CACHE_HOME", str(TOOLS / "cache"))
        ours.setdefault("XDG_DATA_HOME", str(TOOLS / "data"))
    return ours


def home_is_writable() -> bool:
    """A container's user may have no home; an old sudo may have left root's folders in it."""
    home = Path(os.environ.get("HOME") or "/nonexistent")
    existing = [folder for folder in (home / ".cache/uv", home / ".cache", home) if folder.exists()]
    return bool(existing) and os.access(str(existing[0]), os.W_OK)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
