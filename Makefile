# make demo   sets everything up and shows drift being found in live traffic
# make drift-test     injects one drift into a deployment of its own; drift-test-all injects every kind
# make demo-retrain   shows an alert that trains, validates and stages a new version
# make docs   makes a site of the pages in docs/, in build/docs; a warning, a dead link or a gap is an error
# make fuzz   sends odd requests to every route, an hour long
# make test-api   sends schemathesis's requests to every route of the API, and holds the answers against its document
# make test-models   trains the demo models, and lets later rows pass their gates
# make test-chaos   kills, stops and cuts off the processes at random, for some seconds
# make test-benchmarks   starts those benchmarks at their smallest size that take longer; make test starts the others
# make test-deploy   tries what is in deploy/: the manifests, and a Prometheus that is asked for all that boards and rules ask; build/boards has pictures
# make test   sets everything up and runs the tests; make test-long runs those that take many seconds each
PYTHON ?= python3
DEMO_ARGS ?=
FUZZ_ARGS ?= --minutes 60
DRIFT_ARGS ?= --model obesity --drift feature_shift --events 4000
# four processes on two cores, since many tests wait for others' processes; tests/conftest.py says which tests stay together
TEST_ARGS ?= -n 4
# hundreds of processes are started, and without bytecode each would compile all modules again
unexport PYTHONDONTWRITEBYTECODE
VENV := .venv
READY := $(VENV)/.ready
READY_TEST := $(VENV)/.ready-test
READY_DOCS := $(VENV)/.ready-docs
READY_DEPLOY := $(VENV)/.ready-deploy
DEMO_EXTRAS := server,local,parquet,plot,tune

# installs our package with some extras, and tells how far it is
define install
{ $(VENV)/bin/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[$(1)]'; \
	echo $$? > $(VENV)/.pip; } | awk '/^Collecting/ && ++n % 10 == 0 { print "  " n " packages, now " $$2; fflush() } \
	/^Installing collected/ { print "  unpacking them, the longest part …"; fflush() }'; exit $$(cat $(VENV)/.pip)
endef

.PHONY: demo drift-test drift-test-all demo-retrain test test-api test-benchmarks test-deploy test-chaos test-models test-long docs fuzz lint types setup clean

demo: $(READY)
	$(VENV)/bin/driftgauge demo $(DEMO_ARGS)

drift-test: $(READY)
	$(VENV)/bin/driftgauge drift-test $(DRIFT_ARGS)

drift-test-all: $(READY)
	$(VENV)/bin/driftgauge drift-test

demo-retrain: $(READY)
	$(VENV)/bin/driftgauge demo-retrain

test: $(READY_TEST)
	$(VENV)/bin/python -m pytest -m "not long" $(TEST_ARGS)

test-api: $(READY_TEST)
	$(VENV)/bin/python -m pytest -m long -n 0 tests/producer/describing

test-benchmarks: $(READY_TEST)
	$(VENV)/bin/python -m pytest -m long -n 2 tests/benchmarks/test_smoke.py

test-models: $(READY_TEST)
	$(VENV)/bin/python -m pytest -m long -n 0 tests/models/common

test-chaos: $(READY_TEST)
	$(VENV)/bin/python -m pytest -m long -n 0 tests/chaos/test_chaos.py -k random_instants

test-deploy: $(READY_DEPLOY)
	$(VENV)/bin/python -m pytest -m long -n 0 tests/deploy

test-long: $(READY_DEPLOY)
	$(VENV)/bin/python -m pytest -m long $(TEST_ARGS)

docs: $(READY_DOCS)
	$(VENV)/bin/python -m sphinx --quiet --fresh-env --nitpicky --fail-on-warning --keep-going docs build/docs
	$(VENV)/bin/python -m docs.making.site build/docs

fuzz: $(READY_TEST)
	$(VENV)/bin/python -m benchmarks.fuzzing $(FUZZ_ARGS)

lint: $(READY_TEST)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(READY_TEST)
	$(VENV)/bin/mypy

setup: $(READY_TEST)

# what the demo needs, and no more: it is the first thing that people see
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Driftgauge needs Python 3.11 or newer; name one with: make PYTHON=python3.12"; exit 78; }
	@echo "Making $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@echo "Installing Driftgauge and its packages into it (a minute or two, once) …"
	@$(call install,$(DEMO_EXTRAS))
	@touch $(READY)
	@echo "Installed: $(VENV)/bin/driftgauge --help shows the commands."

$(READY_TEST): $(READY)
	@echo "Installing what the tests need too (one to three minutes, once) …"
	@$(call install,test)
	@touch $(READY_TEST)

# installs the packages of an extra alone, which few need
define more
$(VENV)/bin/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["$(1)"], sep="\n")' > $(VENV)/$(1).txt; \
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --requirement $(VENV)/$(1).txt
endef

$(READY_DOCS): $(READY_TEST)
	@echo "Installing the packages that make the site …"
	@$(call more,docs)
	@touch $(READY_DOCS)

$(READY_DEPLOY): $(READY_TEST)
	@echo "Installing the packages that try the manifests …"
	@$(call more,deploy)
	@touch $(READY_DEPLOY)

clean:
	rm -rf $(VENV) build/boards build/docs .mypy_cache .ruff_cache .pytest_cache
