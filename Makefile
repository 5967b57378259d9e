# Two commands do all: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
MARK := $(VENV)/.installed

.PHONY: help demo test fuzz lowest setup lint docs bench constraints system clean

help:
	@echo "make demo   set up what the demo needs and run it: a replicated test set of digits, with a report"
	@echo "make test   set up what the tests need and run them"
	@echo "make fuzz   changed files for every reader of strangers' files: half a minute, or N=10000 of each"
	@echo "make lowest the tests on the lowest versions that pyproject.toml allows, in .venv-lowest"
	@echo "make setup  the development environment alone, in .venv"
	@echo "make lint   ruff, mypy, import-linter"
	@echo "make constraints  renew the list of versions that all of these install"
	@echo "make docs   the site, into build/docs"
	@echo "make bench  the benchmarks (they take a while; results are printed)"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade pip

# The demo needs the lean core and scikit-learn: no torch.
$(MARK)-demo: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install -c constraints.txt -e '.[demo]'
	touch $@

$(MARK)-test: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install -c constraints.txt -e '.[test]'
	touch $@ $(MARK)-demo

demo: $(MARK)-demo
	$(BIN)/newtest demo

setup: $(MARK)-test

# WordNet and a browser: installed where we may (root and apt), else the tests that need them say what to do.
system:
	@sh .ci/system-packages

test: $(MARK)-test system
	$(BIN)/python -m pytest -n 2 --dist loadgroup

# Half a minute without N. An input that fails is kept, with the reader's name and its number.
fuzz: $(MARK)-test
	$(BIN)/python tests/fuzz/run.py --keep build/fuzz $(if $(N),--inputs $(N),--seconds 30) --seed $(or $(SEED),0)

lowest: system
	PYTHON=$(PYTHON) .ci/lowest -q

lint: $(MARK)-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Warnings are errors; then the built pages are checked: every link leads somewhere, nothing loads from outside.
docs: $(MARK)-test
	$(BIN)/python docs/figures/bias.py
	$(BIN)/python docs/pictures.py
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs build/docs
	$(BIN)/python docs/check_site.py build/docs
	@echo "open build/docs/index.html"

bench: $(MARK)-test
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

# The newest release of everything, then the list of what came: run the tests before committing it.
constraints:
	grep -E '^(#|torch)' constraints.txt > constraints.new
	$(PYTHON) -m venv $(VENV)-new
	$(VENV)-new/bin/python -m pip install --quiet -c constraints.new -e '.[test]'
	$(VENV)-new/bin/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' | grep -v '^torch' >> constraints.new
	mv constraints.new constraints.txt
	rm -rf $(VENV)-new

clean:
	rm -rf $(VENV) build dist
