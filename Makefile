# Two commands for a fresh machine with Python 3.11 or newer, pip and make:
#
#   make demo    export a report from the sandbox with a real Airflow; files land in demo-output/
#   make test    lint, types and every test
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

# The extras whose stores have a server small enough to run inside a test.
TEST_EXTRAS := s3,sftp,zstd,sandbox

comma := ,

# Compiled while installing: where PYTHONDONTWRITEBYTECODE is set, every Airflow process would
# otherwise compile all its imports again.
INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --constraint constraints.txt

.PHONY: help demo test lint format constraints clean

help:
	@sed -n 's/^#   //p' Makefile

demo: $(DEMO_STAMP)
	$(BIN)/python demo/run.py

test: lint
	$(BIN)/python -m pytest

lint: $(TEST_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict airflow_provider_snav

format: $(TEST_STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Takes the newest versions that fit together; commit the result once the tests pass on it.
constraints: $(BIN)/uv
	$(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --upgrade \
		--no-annotate --no-header $(foreach extra,$(subst $(comma), ,$(TEST_EXTRAS)),--extra $(extra)) \
		--group dev --output-file constraints.txt

$(DEMO_STAMP): $(BIN)/uv pyproject.toml constraints.txt
	$(INSTALL) --editable '.[sandbox]'
	touch $@

$(TEST_STAMP): $(BIN)/uv pyproject.toml constraints.txt
	$(INSTALL) --editable '.[$(TEST_EXTRAS)]' --group dev
	touch $@

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null || { \
		echo "This needs Python 3.11 to 3.14, and \"$(PYTHON)\" is $$($(PYTHON) --version 2>/dev/null || echo 'not there')." \
			"Name another one: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt uv

clean:
	rm -rf $(VENV) .demo demo-output dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
