# make demo   sets everything up and shows drift being found in live traffic
# make test   sets everything up and runs all tests
PYTHON ?= python3
DEMO_ARGS ?=
TEST_ARGS ?=
VENV := .venv
READY := $(VENV)/.ready

.PHONY: demo test lint types setup clean

demo: $(READY)
	$(VENV)/bin/driftgauge demo $(DEMO_ARGS)

test: $(READY)
	$(VENV)/bin/python -m pytest $(TEST_ARGS)

lint: $(READY)
	$(VENV)/bin/ruff check .

types: $(READY)
	$(VENV)/bin/mypy

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Driftgauge needs Python 3.11 or newer; name one with: make PYTHON=python3.12"; exit 78; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
	@touch $(READY)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
