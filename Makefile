# Everything starts here. Needs make, and Python 3.11 or newer with venv; the rest goes into .venv, once.

PYTHON ?= python3
ARGS ?=
# Half as many again as there are cores: many tests wait for a browser, a server or the disk.
WORKERS ?= $(shell echo $$(( ($$(getconf _NPROCESSORS_ONLN) * 3 + 1) / 2 )))

SHELL := /bin/sh
BIN := .venv/bin
READY := .venv/.ready
READY_BENCH := .venv/.ready-bench
OURS := core actors adapters eventstore

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo serve test lint bench pictures pins clean

help: ## Show the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 16
	@echo '  Arguments go through ARGS:  make serve ARGS="--bind 127.0.0.1:9000"'

demo: $(READY) ## Show what Callboard does, without any key or account
	@$(BIN)/callboard demo $(ARGS)

serve: $(READY) ## Run the server
	@$(BIN)/callboard serve $(ARGS)

test: $(READY) ## Run the whole test suite, on all cores
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal $(ARGS)

lint: $(READY) ## Check style, types and the import rules
	@$(BIN)/ruff check .
	@$(BIN)/mypy $(OURS)
	@$(BIN)/lint-imports

bench: $(READY_BENCH) ## Measure throughput and latency on this machine, beside rivals
	@$(BIN)/python -m tests.benchmarks.bench $(ARGS)

pictures: $(READY) ## Renew the README's pictures of the console
	@CALLBOARD_PICTURES=renew $(BIN)/python -m pytest --quiet tests/console/test_pictures.py

pins: ## Renew constraints.txt with the newest versions pyproject.toml allows
	@rm -rf build/pins && $(PYTHON) -m venv build/pins
	@build/pins/bin/pip install --quiet '.[bench,dev,openai,parquet,postgres,speech]'
	@sed -n '/^#/p' constraints.txt > build/constraints.txt
	@build/pins/bin/pip freeze --exclude callboard >> build/constraints.txt
	@mv build/constraints.txt constraints.txt && rm -rf build/pins

clean: ## Remove what make, the tests and the tools made; logs (*.db) stay
	@rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find $(OURS) tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo 'Callboard needs Python 3.11 or newer, and there is no $(PYTHON). Name another: make PYTHON=python3.12' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Callboard needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V). Name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) comes without venv here. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo 'Setting up .venv (once; about a minute)' >&2
	@$(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || $(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]' --constraint constraints.txt
	@touch $(READY)

# Without the rivals the bench measures the rest, and says what it left out.
$(READY_BENCH): $(READY)
	@echo 'Setting up what the bench compares with (once)' >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]' --constraint constraints.txt \
		&& touch $(READY_BENCH) || echo 'The rivals could not be installed; the bench goes on without them' >&2
