# What a newcomer, a developer and continuous integration run. `make` alone prints the targets.

VENV := .venv
BIN := $(VENV)/bin
# The tested versions: from Python 3.13 on those with numpy 2. The shell asks, once the line runs: when make reads a recipe, its first
# line has not made the environment yet.
CONSTRAINTS := import sys; print("constraints-3.13.txt" if sys.version_info >= (3, 13) else "constraints.txt")
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint "$$($(BIN)/python -c '$(CONSTRAINTS)')"
# The first Python on the path that the project runs on; `make PYTHON=/path/to/python` names another.
SUITABLE := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3 python; do \
	if $$python -c '$(SUITABLE)' 2>/dev/null; then command -v $$python; break; fi; done)

# Idle threads of the matrix library wait instead of spinning, which takes half the time where cores are few.
export OMP_WAIT_POLICY := PASSIVE

.DEFAULT_GOAL := help
.PHONY: help install demo serve nightly test test-3.13 coverage lint types format docs bench-quality audit licences clean system

help: ## print this list
	@sed -n 's/^\([a-z0-9.-]*\):[^#]*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do \
		printf '  make %-14s %s\n' "$$name" "$$text"; done

install: $(VENV)/.installed ## make .venv with the labelsweep command in it

demo: install ## install, then sweep the bundled digits; prints where the queue and the report are
	$(BIN)/labelsweep clean sample:digits

# The stack of one machine. Every setting can be given in the environment: LABELSWEEP_OUT is the folder of the results,
# LABELSWEEP_POSTGRES=1 keeps the server's database in a Postgres of its own (PREFECT_SERVER_DATABASE_CONNECTION_URL: in another),
# LABELSWEEP_HOST is where the server listens (flows/platform/stack.py).
serve nightly: export PREFECT_API_URL ?= http://127.0.0.1:$(or $(LABELSWEEP_PORT),4200)/api
serve: export LABELSWEEP_OUT ?= $(CURDIR)/data
# Reports open from the UI: served here, and linked to by the flows.
serve: export LABELSWEEP_REPORTS ?= http://127.0.0.1:$(or $(LABELSWEEP_REPORTS_PORT),4280)/
serve: export PREFECT_SERVER_ANALYTICS_ENABLED ?= false
serve: export DO_NOT_TRACK ?= 1
serve: export GX_ANALYTICS_ENABLED ?= false
serve: export PREFECT_RESULTS_DEFAULT_SERIALIZER ?= json
# Workers ask for work every second; runs give a sign of life every 30 s, which deploy/automations.yaml counts on.
serve: export PREFECT_WORKER_QUERY_SECONDS ?= 1
serve: export PREFECT_FLOWS_HEARTBEAT_FREQUENCY ?= 30

serve: $(VENV)/.installed-serve ## server, pools, deployments, a cpu and a gpu worker; Ctrl-C stops everything
	@PATH="$(abspath $(BIN)):$$PATH" exec $(BIN)/python -P -m flows.platform.stack

nightly: $(VENV)/.installed-serve ## run the nightly deployment now and follow it to its end (beside `make serve`)
	$(BIN)/prefect deployment run clean-labels/nightly --watch
	$(BIN)/labelsweep status --out $(or $(LABELSWEEP_OUT),data)

# Three processes, each of which takes whole files: on two cores, for half of a test's time is waiting; 3 GB of memory whatever the
# machine. The files of tests/stack share one server, which the last of them stops: they run one after the other.
test: $(VENV)/.installed-dev system lint types ## install what the tests need, then lint, check types and run all tests
	$(BIN)/python -m pytest tests flows tasks -n 3 --dist loadfile --ignore=tests/stack
	$(BIN)/python -m pytest tests/stack

test-3.13: ## the same on Python 3.13 with numpy 2, in an environment of its own, .venv-3.13
	$(MAKE) VENV=.venv-3.13 PYTHON=python3.13 test

lint: $(VENV)/.installed-dev ## check style, format, and which way imports point
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: $(VENV)/.installed-dev ## check types
	$(BIN)/mypy

format: $(VENV)/.installed-dev ## put the code in its format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

coverage: $(VENV)/.installed-dev system ## run all tests under coverage, subprocesses too; fails below 90 % of lines
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest tests flows tasks
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

docs: $(VENV)/.installed-docs ## build the documentation site into build/site
	$(BIN)/mkdocs build --strict

bench-quality: $(VENV)/.installed-bench ## compare the queue's quality with the peers, on the same data
	$(BIN)/labelsweep bench quality

audit: $(VENV)/.installed-dev ## look the tested versions up in the advisory database (needs the network)
	$(PIP) pip-audit
	$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip

licences: $(VENV)/.installed-dev ## list the licences of everything that is installed
	$(PIP) pip-licenses
	$(BIN)/pip-licenses --order=license --format=markdown

clean: ## remove caches and build output; runs and the environment stay
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis htmlcov .coverage .coverage.*
	find flows tasks tests data -name __pycache__ -prune -exec rm -rf {} +

# Each stamp is newer than what it was made from, so a second `make` installs nothing.
$(VENV)/.installed: pyproject.toml constraints.txt constraints-3.13.txt
	@test -n "$(PYTHON)" || { echo "labelsweep needs Python 3.11, 3.12 or 3.13: install one, or name it with make PYTHON=…" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	$(PIP) --no-deps pydvl  # there already, but where numpy is 2
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) --editable '.[dev]'
	@touch $@

$(VENV)/.installed-serve: $(VENV)/.installed
	$(PIP) --editable '.[serve]'
	@touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(PIP) --editable '.[docs]'
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.installed
	$(PIP) --editable '.[bench]'
	@touch $@

# The report is looked at in a real browser, and the stack runs on a real Postgres; where they cannot be installed, the tests of
# the page say that they were skipped, and the stack's run on SQLite.
system:
	@missing="$$(command -v chromium >/dev/null || echo chromium) $$(ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || echo postgresql)"; \
	if [ "$$missing" != " " ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $$missing; fi
