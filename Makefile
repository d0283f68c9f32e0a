# What the README names. Every target is a line, so that nothing hides here.
.DEFAULT_GOAL := help
PYTHON ?= python3
BOOTSTRAP = @command -v $(PYTHON) > /dev/null || { echo "NIF needs Python 3.11 or newer, and there is no $(PYTHON)." \
	"Debian 12 and Ubuntu 24.04: apt install python3 python3-pip python3-venv" >&2; exit 1; }; $(PYTHON) bootstrap.py
COMPILE = uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --custom-compile-command "make lock"

help:  ## say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run:  ## set everything up and serve http://127.0.0.1:8000 (PORT moves it)
	$(BOOTSTRAP) run $(ARGS)

test:  ## set everything up and run the whole suite on SQLite and PostgreSQL (ARGS="-k sends" goes to pytest)
	$(BOOTSTRAP) test $(ARGS)

test-quick:  ## SQLite, no browser, no proofs, no upgrades: for daily work
	$(BOOTSTRAP) test-quick $(ARGS)

test-one:  ## one test or some, on SQLite, in seconds (ARGS="tests/test_slugs.py -k hyphen")
	$(BOOTSTRAP) test-one $(ARGS)

check:  ## ruff, mypy, import-linter and the tests
	$(BOOTSTRAP) check

lint:  ## the same without the tests
	$(BOOTSTRAP) lint

bench:  ## pages and sends of 10,000 and 100,000, measured (JSON=1 for machines)
	$(BOOTSTRAP) bench

bench-send:  ## sends alone, measured
	$(BOOTSTRAP) bench-send

bench-events:  ## the event webhook, measured (SECONDS=600 of a stream)
	$(BOOTSTRAP) bench-events

bench-import:  ## a file of 1,000,000 readers taken in, killed on the way, and given out again, measured
	$(BOOTSTRAP) bench-import

bench-ledger:  ## the public ledger of 50,000 entries, verified and measured
	$(BOOTSTRAP) bench-ledger

bench-signups:  ## a flood of sign-ups, and whether the time of an answer tells whose address it is
	$(BOOTSTRAP) bench-signups

bench-newsroom:  ## every page of a newsroom of 10,000 stories of five revisions, measured
	$(BOOTSTRAP) bench-newsroom

bench-audience:  ## the desk of 1,000,000 subscribers on 20 lists: pages, searching, segments (SIZE=)
	$(BOOTSTRAP) bench-audience

prove:  ## kill loops, sweeps, state machines, all time zones: an hour or two (ROUNDS=, SIZE=, PROOF=, DATABASE=)
	$(BOOTSTRAP) prove

lock:  ## resolve the dependencies again, with hashes
	$(COMPILE) pyproject.toml --group build --output-file locks/run.txt
	$(COMPILE) pyproject.toml --group build --group test --constraint locks/run.txt --output-file locks/test.txt
	echo uv | $(COMPILE) - --output-file locks/uv.txt

.PHONY: help run test test-quick test-one check lint bench bench-send bench-events bench-import bench-ledger bench-newsroom bench-audience bench-signups prove lock
