# Needs Python 3.11 or newer and make. Another interpreter: make setup PY=python3.12
PY ?= python3
ARGS ?=
RUN := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: determinism faults fuzz mutants shuffled coverage help setup lab test test-fast test-colab test-colab-all test-lowest test-newest bench \
	notebooks book lock clean

help:           ## this list
	@sed -n 's/^\([a-z-]*\): .*## /\1: /p' Makefile | awk -F': ' '{printf "make %-14s %s\n", $$1, $$2}'

setup:          ## make .venv from the lock
	@$(PY) tools/bootstrap.py setup

lab: setup      ## open JupyterLab on the first lesson (ARGS="--no-browser --port=9000")
	@$(RUN) tools/lab.py $(ARGS)

.venv-dev:
	@$(PY) tools/bootstrap.py setup --dev
.PHONY: .venv-dev

test: .venv-dev ## prove everything: lint, unit tests, parity, notebooks, browser
	@$(RUN) tools/prove.py lint data tests notebooks browser $(ARGS)

test-fast: .venv-dev ## about 3 minutes: no models, no notebooks, no browser
	@$(RUN) tools/prove.py lint fast $(ARGS)

test-colab:     ## models, their parts, parity and lesson 01 under the versions that Colab has
	@$(PY) tools/bootstrap.py colab
	@.venv-colab/bin/python tools/prove.py colab-tests colab-notebook $(ARGS)

test-colab-all: ## all lessons, from a wheel, under the versions that Colab has (ARGS="04 05" for some)
	@$(PY) tools/bootstrap.py colab
	@.venv-colab/bin/python tools/colab_lessons.py $(ARGS)

test-lowest: .venv-dev ## unit tests, parity, lessons 01 and 04 under the oldest versions that are allowed
	@$(RUN) tools/try_versions.py lowest

test-newest: .venv-dev ## the same under the newest versions of everything
	@$(RUN) tools/try_versions.py newest

fuzz: .venv-dev  ## 100,000 damaged files for everything that reads one (ARGS=1000 for fewer)
	@$(RUN) -m tests.fuzzing $(or $(ARGS),100000)

faults: .venv-dev ## checkpoints under kills, full disks, damage and strangers (ARGS=sample for fewer)
	@$(RUN) -m tests.faults $(ARGS)

determinism: .venv-dev ## whether every recipe's first 20 steps give the same bytes twice (ARGS="digits_ar 5" for one, five steps)
	@$(RUN) -m tests.determinism $(ARGS)

mutants: .venv-dev ## whether a test notices small faults put into ops and layers (ARGS="20 ops/rotary" for some)
	@$(RUN) tools/mutants.py $(or $(ARGS),300)

shuffled: .venv-dev ## the unit tests three times, each time in another order
	@$(RUN) tools/prove.py shuffled

coverage: .venv-dev ## which lines the unit tests reach (Python 3.12 or newer: make coverage PY=python3.12)
	@$(RUN) tools/prove.py coverage

bench: .venv-dev ## measure; results go to benchmarks/results
	@set -e; for script in benchmarks/*.py; do echo "== $$script"; $(RUN) $$script; done

notebooks: .venv-dev ## execute every lesson from notebooks/source (ARGS="04 05" for some)
	@$(RUN) tools/notebooks.py build $(ARGS)

book: .venv-dev ## the reading edition, from the lessons as they are stored: build/book/index.html
	@$(RUN) tools/book.py

LOCK := uv pip compile --quiet --upgrade --generate-hashes --custom-compile-command "make lock"
# One version of everything on every Python and platform; Colab is one machine.
EVERYWHERE := --universal --fork-strategy fewest --python-version 3.11
ON_COLAB := --python-platform x86_64-manylinux_2_28 --python-version 3.13
lock:           ## pin the newest versions that fit the *.in files (needs uv)
	$(LOCK) $(EVERYWHERE) requirements.in -o requirements.lock
	$(LOCK) $(EVERYWHERE) -c requirements.lock requirements-dev.in -o requirements-dev.lock
	$(LOCK) $(ON_COLAB) requirements-colab.in -o requirements-colab.txt

clean:          ## remove environments and caches
	rm -rf .venv .venv-colab .venv-lowest .venv-newest .cache .pytest_cache .hypothesis .ruff_cache build dist
