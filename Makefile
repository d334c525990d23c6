# make demo    train LCTR on the included digits, evaluate it, and print the path of the report
# make test    run the tests, except the slow ones
# make test-slow   run the slow ones: whole runs, several processes
# make lint    run linter, formatter and type checker
# make docs    build the documentation to read from disk: site/index.html
#
# Each target first creates the environment in .venv and installs what it needs.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test test-slow lint docs
.DELETE_ON_ERROR:

# On Linux with glibc, huge pages avoid page faults and make the training steps on a CPU faster. Ignored
# elsewhere.
demo: export GLIBC_TUNABLES := glibc.malloc.hugetlb=1
demo: $(VENV)/.installed
	$(BIN)/python train.py --config configs/digits.py --workdir runs/digits

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -q -n auto --maxprocesses 8 --dist worksteal -m "not slow"

test-slow: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -q -n auto --maxprocesses 8 --dist worksteal -m slow

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict -q
	@echo "open site/index.html"

$(VENV)/.installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "error: $(PYTHON) is too old: Python 3.11 or newer is needed; make PYTHON=/path/to/python3.11"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed pyproject.toml
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev]'
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed pyproject.toml
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[docs]'
	touch $@
