# The one entry point for people and CI. `make help` lists what there is.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup setup-run fmt lint types imports unit property contract integration e2e golden k8s test explore check cov run bench evidence forecasts docs docs-check chaos images containers wheels lock clean

help: ## list the targets
	@grep -hE '^[a-z0-9 -]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf (length($$1) > 14 ? "  %s\n%17s%s\n" : "  %-14s %s%s\n"), $$1, "", $$2}'

setup: ## set everything up for development and tests (idempotent)
	@$(PYTHON) scripts/bootstrap.py

setup-run:
	@$(PYTHON) scripts/bootstrap.py --run

run: setup-run ## start the farm and show it trading; options: make run ARGS="--speed 600"
	@$(BIN)/omega up $(ARGS)

test: setup ## lint, types, import contracts, documents, and all tests with coverage
	@$(MAKE) --no-print-directory lint types imports docs-check
	@$(MAKE) --no-print-directory cov

fmt: setup ## format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

lint: setup ## ruff: all rules, and the format
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: setup ## mypy, strict
	@$(BIN)/mypy

imports: setup ## the import contracts of the house
	@$(BIN)/lint-imports

unit property contract integration e2e golden k8s: setup ## one layer of tests
	@$(BIN)/pytest tests/$@ $(ARGS)

explore: setup ## the property tests with new random examples: finds what the fixed ones of `make test` do not
	@OMEGA_TEST_EXPLORE=1 $(BIN)/pytest tests/property -n 2 $(ARGS)

check: setup lint types imports ## the fast set before a commit
	@$(BIN)/pytest tests/unit tests/property tests/golden -q -n 2 $(ARGS)

cov: setup ## all tests, with branch coverage of the code, and of its core
	@$(BIN)/python scripts/run_tests.py $(ARGS)

bench: setup ## measure: replay, latency, bus, memory, start-up (prints ratios, judges nothing)
	@$(BIN)/python bench/run.py $(ARGS)

evidence: setup ## measure patterns against chance on recorded data and write omega/analytics/data/evidence.csv (a minute)
	@$(BIN)/python scripts/evidence.py $(ARGS)

forecasts: setup ## measure the forecast models on recorded candles (ARGS=FOLDER) and write their record (minutes)
	@$(BIN)/python scripts/measure_forecasts.py $(ARGS)

chaos: setup ## the fault lab: 50 seeds with 12 random faults each, then every guard taken out (goes on where it was)
	@$(BIN)/omega chaos run random --seeds 1:50 --faults 12 --out var/chaos $(ARGS)
	@OMEGA_TEST_CHAOS=1 $(BIN)/pytest tests/e2e/chaos -q -n 0 -k guard

docs: setup ## write the generated documents anew
	@$(BIN)/python scripts/generate.py --write

docs-check: setup ## fail when a generated document is out of date
	@$(BIN)/python scripts/generate.py --check

wheels: ## collect the wheels that the images are built from
	@scripts/wheels.sh

images: wheels ## build the images of the services (BASE_IMAGE=... for a base of your own)
	@scripts/containers.sh build

containers: ## build the images on a local base and bring the compose file up until it trades
	@scripts/containers.sh up

lock: ## resolve the dependencies anew
	@$$($(PYTHON) scripts/bootstrap.py --uv) lock

clean: ## remove what can be made again
	@rm -rf $(VENV) .uv var htmlcov .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
