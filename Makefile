# The commands of this project. `make demo` shows what the tool does; `make lint test` is what a change needs.

VENV := .venv
BIN := $(VENV)/bin

# The newest Python that really runs and can make a virtual environment. `make PYTHON=... test` overrides.
CANDIDATES := python3.13 python3.12 python3.11 python3
USABLE := import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in $(CANDIDATES); do \
	$$python -c '$(USABLE)' >/dev/null 2>&1 && { echo $$python; break; }; done)

# dvc, gto and the pipeline's python are found as they are in an activated environment.
ACTIVE := PATH="$(CURDIR)/$(BIN):$$PATH"

INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help demo test lint format docs clean python
.DEFAULT_GOAL := help

help:
	@echo "make demo    releases, a review and a rollback, in a throw-away repository"
	@echo "make test    all tests (make test ARGS='-k rollback -x' for some)"
	@echo "make lint    ruff and mypy"
	@echo "make format  let ruff repair and format"
	@echo "make docs    run the examples of the documentation"
	@echo "make clean   remove .venv, caches and builds; models and data stay"

demo: $(VENV)/demo.stamp
	@$(ACTIVE) $(BIN)/python demo/demo.py $(ARGS)

test: $(VENV)/dev.stamp
	$(ACTIVE) $(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/dev.stamp
	$(ACTIVE) $(BIN)/python -m pytest tests/test_docs.py $(ARGS)

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests benchmarks demo -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# Fails, and says so, when there is no Python to work with.
python:
	@test -n "$(PYTHON)" || { \
		echo "error: no Python 3.11 or newer with venv and ensurepip" >&2; \
		echo "hint: install one (Debian: apt-get install python3-venv), or name it: make PYTHON=/path/to/python3" >&2; \
		exit 1; }

# One environment, filled as far as a target needs: the demo does without the developers' tools.
$(VENV)/demo.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing modelctl and the demo's packages into $(VENV)"
	@$(INSTALL) -e '.[demo]'
	@touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing modelctl and the developers' packages into $(VENV)"
	@$(INSTALL) -e '.[dev]'
	@touch $(VENV)/demo.stamp $@

$(BIN)/python: | python
	@$(PYTHON) -m venv $(VENV)
