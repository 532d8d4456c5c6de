# One word per task. ARGS is passed on: `make test ARGS=tests/unit`, `make demo ARGS="--home /tmp/x"`.
.DEFAULT_GOAL := help
.PHONY: help setup dev run demo test test-slow test-fresh bench check format docs lock
BIN := .venv/bin

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

setup: ## .venv from the lock, and on Debian as root the system packages
	@.ci/setup

dev: ## the same with the development tools
	@.ci/setup dev

run: setup ## the service: web chat and agents, until Ctrl-C
	@exec $(BIN)/autocoder serve $(ARGS)

demo: setup ## the whole story once, in the terminal, with the practice model
	@exec $(BIN)/autocoder demo $(ARGS)

test: dev ## the quick tests
	@$(BIN)/python -m pytest -q -n 2 -m "not slow and not bench" $(ARGS)

test-slow: dev ## the others: kills, whole flows, large inputs
	@$(BIN)/python -m pytest -q --timeout 900 -m "slow and not bench" $(ARGS)

test-fresh: ## demo and quick tests in a bare Debian 12 and 13 (as root, with debootstrap)
	@.ci/fresh $(ARGS)

bench: dev ## what it costs beside the bare CLI, in one run
	@$(BIN)/python -m tests.bench $(ARGS)

check: dev ## format, lint, types, import rules, docs
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q tests/house

format: dev ## mend format and what lint can mend
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

docs: dev ## write docs/reference from the code
	@$(BIN)/python docs/generate.py

COMPILE := $(BIN)/uv pip compile pyproject.toml --no-config --quiet --universal --python-version 3.11 \
	--generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links --extra build

lock: dev ## newest versions within the ranges of pyproject.toml
	@$(COMPILE) --upgrade --extra dev -o requirements-dev.lock
	@$(COMPILE) --upgrade -c requirements-dev.lock -o requirements.lock
