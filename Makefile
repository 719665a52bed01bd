# The verbs are the same by hand and in CI.
PYTHON ?= python3
BIN := .venv/bin
# Where the shared test data lies, if it does; tests that need it skip with a reason elsewhere.
ifneq ($(wildcard ../shared/data/README.md),)
export TASD_TEST_DATA ?= $(abspath ../shared)
endif

.PHONY: setup demo test test-long test-gpu check format

setup: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,cluster,bench,dev]'
	touch $@

demo: setup
	$(BIN)/tasd demo

# A test to a core: small networks gain nothing from sharing each operation among cores.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal -m 'not long and not gpu'

test-long: setup
	$(BIN)/python -m pytest -m long

test-gpu:
	TASD_REQUIRE_GPU=1 $(PYTHON) -m pytest -m gpu

check: setup
	$(BIN)/ruff format --check tasd prep tests
	$(BIN)/ruff check tasd prep tests
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff format tasd prep tests
	$(BIN)/ruff check --fix tasd prep tests
