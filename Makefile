# Two commands set everything up on a machine with Python 3.11: `make demo` and `make test`.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LDAP := $(VENV)/ldap/.installed
RELEASE := $(VENV)/release/.installed
STARTERS := $(VENV)/starters/.installed

# An Airflow that may not keep its bytecode compiles itself at each start, in 3 s more: tests and demo start dozens.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test pytest chromium lint style types bench faults starters docs dist sbom advisories notes clean screenshots
.DEFAULT_GOAL := test

# uv installs the pinned versions in seconds where pip takes minutes; pip does it where uv cannot.
$(STAMP): setup.cfg devcluster/setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[dev]' -e ./devcluster \
		|| $(BIN)/pip install --quiet -c constraints.txt -e '.[dev]' -e ./devcluster
	touch $@

# What only the tests of the ldap login need, and what must not mix with the rest: see the file itself.
$(LDAP): $(STAMP) tests/vault/ldap-requirements.txt
	$(BIN)/uv pip install --quiet --target $(@D) -r tests/vault/ldap-requirements.txt \
		|| $(BIN)/pip install --quiet --target $(@D) -r tests/vault/ldap-requirements.txt
	touch $@

lint: style types

style: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@# Its cache keeps an import of a module that has since moved.
	$(BIN)/lint-imports --no-cache

types: $(STAMP)
	$(BIN)/mypy

# The tests of the page need a Chromium; where it can be neither found nor installed they are skipped, and say so.
chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null \
		|| { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; } \
		|| echo "No Chromium: apt-get install chromium runs the tests of the page."

# mypy beside pytest: it takes one core for seconds.
test: style chromium $(LDAP)
	$(MAKE) --no-print-directory -j 2 types pytest

# Twice as many workers as CI has cores: half of the time a test waits, for a pod or a server (tests/order.py).
pytest: $(STAMP) $(LDAP)
	$(BIN)/pytest -n 4 --dist loadfile --durations=10

demo: $(STAMP)
	$(BIN)/python -m k8s_vault_devcluster.demo $(if $(KEEP),--keep)

bench: $(STAMP)
	$(BIN)/python -m tests.bench

# Every way a task can end and every fault, as a table: docs/faults.md. Then a signal at each line of a hand-over, and
# the tests that take too long for `make test`.
faults: $(STAMP)
	$(BIN)/python -m tests.faults
	K8S_VAULT_TEST_STRIKE_EVERY=1 $(BIN)/pytest -q tests/canary/test_interrupts.py tests/secrets_backend/test_interrupts.py
	$(BIN)/pytest -q -m slow

# The operators, programs and libraries of the clouds, installed beside the rest: see the file itself.
$(STARTERS): $(STAMP) tests/starters/requirements.txt
	rm -rf $(@D)
	$(BIN)/uv pip install --quiet --no-deps --target $(@D) -r tests/starters/requirements.txt \
		|| $(BIN)/pip install --quiet --no-deps --target $(@D) -r tests/starters/requirements.txt
	touch $@

# Tasks in clusters of GKE, EKS and AKS, by the clouds' own classes and programs.
starters: $(STARTERS)
	PYTHONPATH=$(abspath $(VENV)/starters) $(BIN)/pytest -q tests/starters

# The pictures of the page in README.md.
screenshots: $(STAMP) chromium
	$(BIN)/python -m tests.page.screenshots

# The manual, into build/site. A dead link or an orphan page is an error.
docs: $(STAMP)
	$(BIN)/mkdocs build --strict --quiet

# What a release takes: docs/releasing.md.
$(RELEASE): $(STAMP) .ci/release-requirements.txt
	$(PYTHON) -m venv $(@D)
	$(BIN)/uv pip install --quiet --python $(@D)/bin/python -r .ci/release-requirements.txt \
		|| $(@D)/bin/pip install --quiet -r .ci/release-requirements.txt
	touch $@

# Both distributions, each as sdist and as wheel that is built from it.
dist: $(RELEASE)
	rm -rf dist
	$(VENV)/release/bin/python -m build --installer uv --outdir dist .
	$(VENV)/release/bin/python -m build --installer uv --outdir dist devcluster
	$(VENV)/release/bin/twine check --strict dist/*

sbom: dist
	.ci/sbom dist/airflow_k8s_vault-[0-9]*.whl

advisories: $(RELEASE)
	.ci/advisories

# What the changelog says of the newest version: the tag's message.
notes:
	@awk '/^## /{found++} found==1' CHANGELOG.md

clean:
	rm -rf dist $(VENV) .demo build *.egg-info
