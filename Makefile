# Needs Python 3.11 (or another one by PYTHON=python3.12) with pip and venv, and make. Everything else goes into .venv.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Sphinx has an environment of its own: it can't live with the AWS CLI, which the tests run.
DOCS_VENV := .venv-docs
SITE := build/docs
PYTEST := $(BIN)/python -m pytest
SUDO := $(shell test "$$(id -u)" = 0 || echo sudo)

# Without bytecode Airflow starts 2.5 times slower, again in every process.
unexport PYTHONDONTWRITEBYTECODE
# The tests and the demo talk to the sandbox, never to somebody's account.
unexport AWS_PROFILE AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_ENDPOINT_URL

.DEFAULT_GOAL := help
.PHONY: help demo check check-style check-core unit test matrix cluster services browser lint docs wheel clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## Roll out a good and a bad model on this machine (STRATEGY=linear or blue_green, TRAFFIC=endpoints or guardrails, ENDPOINT=serverless or async, MODEL=slow or subtle; DEMO=--keep leaves it running)
	$(BIN)/sm-rollout demo $(if $(STRATEGY),--strategy $(STRATEGY)) $(if $(TRAFFIC),--traffic $(TRAFFIC)) $(if $(ENDPOINT),--endpoint $(ENDPOINT)) $(if $(MODEL),--model $(MODEL)) $(DEMO)

check: $(INSTALLED) ## Lint, types and the pure core: what to run after every change, under a minute
	@$(MAKE) --no-print-directory --jobs 2 --output-sync check-style check-core

check-style: $(INSTALLED)
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy

check-core: $(INSTALLED)
	$(PYTEST) tests/core $(TESTS)

unit: $(INSTALLED) ## Run all tests that start neither Airflow's processes nor a browser (TESTS="-k alarm" for some)
	$(PYTEST) --numprocesses 3 --dist loadgroup -m "not slow" $(TESTS)

test: $(INSTALLED) browser services ## Run all tests, lint and type checks included (TESTS="-k alarm" for some)
	$(PYTEST) --numprocesses 3 --dist loadgroup $(TESTS)

matrix: $(INSTALLED) ## Run what depends on Airflow on each version that is supported (TESTS="-s unit-mwaa-3.2.1" for one; needs their Pythons)
	$(BIN)/nox $(TESTS)

cluster: $(INSTALLED) services ## Run twelve rollouts on Celery, Redis and PostgreSQL while parts are killed (ROUNDS=5 to repeat it)
	PYTHONPATH=tests $(BIN)/python -m cluster $(if $(ROUNDS),--rounds $(ROUNDS))

services:
	@command -v redis-server >/dev/null && command -v prometheus >/dev/null && ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || { \
		echo "Installing PostgreSQL and Prometheus, which measures are counted by in the tests, and Redis, for the cluster ..."; \
		$(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends postgresql prometheus redis-server; }

# Airflow's pages are tested in a real browser. Selenium finds it on the PATH.
browser:
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || { \
		echo "Installing chromium, for the tests of Airflow's pages ..."; \
		$(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends chromium chromium-driver fonts-dejavu-core; }
	@command -v npm >/dev/null || { \
		echo "Installing npm, which has the rules of accessibility that the pages are tested by ..."; \
		$(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends npm; }

lint: $(INSTALLED) ## Format, then lint and check types
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/mypy

docs: $(DOCS_VENV)/.installed ## Make the documentation's site, build/docs/index.html
	$(DOCS_VENV)/bin/sphinx-build --quiet --fail-on-warning --keep-going --doctree-dir $(SITE)/.doctrees docs $(SITE)

wheel: $(INSTALLED) ## Build the wheels into dist/: the package's, and the sandbox's for where you develop
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist . ./distributions/sandbox

clean: ## Remove .venv and everything that was built or cached
	rm -rf $(VENV) $(DOCS_VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .sm-rollout
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is made last: an installation that broke off starts again.
$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "no python3.11 or python3 found: set PYTHON=" >&2; exit 1; }
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: set PYTHON=")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m compileall -q -j 0 $(VENV)/lib || true
	touch $@

$(DOCS_VENV)/.installed: docs/requirements.txt
	$(PYTHON) -m venv --clear $(DOCS_VENV)
	$(DOCS_VENV)/bin/python -m pip install --quiet --requirement docs/requirements.txt
	touch $@
