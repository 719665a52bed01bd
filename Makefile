# Continuous integration uses the same targets as a person.
PYTHON ?= python3
BIN := .venv/bin
# The folder of the shared test data, where there is one; else tests that need it are skipped.
ifneq ($(wildcard ../shared/data/README.md),)
export TASD_TEST_DATA ?= $(abspath ../shared)
endif

.PHONY: setup demo test test-long test-mlflow test-gpu check docs format wheel

setup: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,timm,hub,onnx,wandb,app,cluster,bench,docs,notebooks,dev]'
	touch $@

# The demo needs less than the tests do: half the time of an installation.
demo: .venv/demo
	$(BIN)/tasd demo --real
	$(BIN)/tasd demo

.venv/demo: pyproject.toml constraints.txt
	test -e .venv/installed || $(PYTHON) -m venv .venv
	test -e .venv/installed || $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train]'
	touch $@

# One test on each core: small networks do not gain from several threads.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal -m 'not long and not gpu'

test-long: setup
	$(BIN)/python -m pytest -m long

# MLflow needs older packages than constraints.txt names: it lies beside the others, for its tests alone.
test-mlflow: .venv/mlflow/installed
	PYTHONPATH=.venv/mlflow $(BIN)/python -m pytest tests/training/test_tracking.py -k 'mlflow or server'

.venv/mlflow/installed: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade --target .venv/mlflow 'mlflow>=3'
	touch $@

test-gpu:
	TASD_REQUIRE_GPU=1 $(PYTHON) -m pytest -m gpu

check: setup
	$(BIN)/ruff format --check tasd prep tests docs/*.py docs/*.ipynb
	$(BIN)/ruff check tasd prep tests docs/*.py docs/*.ipynb
	$(BIN)/mypy
	$(BIN)/lint-imports

# The site of the documents, in build/site; a broken link or a fetch from another host fails. No
# --quiet here: it would hide the warnings from --strict.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

format: setup
	$(BIN)/ruff format tasd prep tests docs/*.py docs/*.ipynb
	$(BIN)/ruff check --fix tasd prep tests docs/*.py docs/*.ipynb

# The same bytes from the same commit: the times in the wheel are those of the commit.
wheel: setup
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m build --wheel
