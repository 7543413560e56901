# Every target makes the virtual environment that it needs. Adjust with, for example:
#   make test ARGS="-k cancel" DATABASES=sqlite
#   make test THOROUGH=1 DATABASES="sqlite postgresql mariadb"
#   make test PYTHON=python3.13 DJANGO=6.1 VENV=.venv-django6.1

PYTHON ?= python3
VENV ?= .venv
# A release series such as 5.2; empty: the newest that this Python can run.
DJANGO ?=
DATABASES ?=
ARGS ?=
ONCE ?=

python := $(VENV)/bin/python
install := $(VENV)/bin/pip install --quiet --disable-pip-version-check
python_version := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
# Another PYTHON or DJANGO is another file, so that the environment is made anew.
environment := $(VENV)/python$(python_version)-django$(DJANGO)

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# What the database that DATABASE_URL names needs besides Django.
driver := $(patsubst postgres%,$(VENV)/postgresql.installed,$(filter postgres%,$(DATABASE_URL)))
driver += $(patsubst mysql%,$(VENV)/mysql.installed,$(filter mysql%,$(DATABASE_URL)))

# What the suite needs besides, where it is to use MariaDB.
mysql_driver := $(if $(TEST_MYSQL_URL)$(findstring mariadb,$(DATABASES)),mysqlclient)

.PHONY: demo
demo: $(VENV)/demo.installed $(driver) ## Run the shop and its scheduler; ONCE=1 ends after the summary
	$(python) -m testproject.demo $(if $(ONCE),--once)

.PHONY: test
test: $(VENV)/test.installed $(mysql_driver) ## Run the suite on SQLite and PostgreSQL; ARGS go to pytest, DATABASES selects
	$(python) -m tests $(DATABASES) -- $(ARGS)

# What tries many examples: how many in the suite, and how many here, is in tests/support/soak.py.
SOAKED := tests/crash tests/crons/test_executors.py tests/limits tests/processes/test_load.py
.PHONY: soak
soak: $(VENV)/test.installed $(mysql_driver) ## Look for what is rare: SOAK=20 times as many faults and examples
	SOAK=$(or $(SOAK),20) $(python) -m tests $(DATABASES) -- $(SOAKED) --timeout=0 $(ARGS)

# MariaDB's driver is compiled. Where that fails the tests still run, and say that MariaDB is skipped.
.PHONY: mysqlclient
mysqlclient: $(VENV)/test.installed
	@$(python) -c 'import MySQLdb' 2>/dev/null \
		|| $(install) --editable '.[mysql]' >$(VENV)/mysqlclient.log 2>&1 \
		|| echo 'mysqlclient cannot be installed (it needs a C compiler, pkg-config and libmariadb-dev):' \
			'see $(VENV)/mysqlclient.log'

.PHONY: bench
bench: $(VENV)/bench.installed ## Measure against the peers, side by side; ARGS="--help" lists what can be chosen
	$(python) -m benchmarks $(ARGS)

.PHONY: bench-own
bench-own: $(VENV)/bench.installed ## Measure our own claims, and what a request pays; ARGS=--write for the docs
	$(python) -m benchmarks.own $(ARGS)

.PHONY: profile
profile: $(VENV)/bench.installed ## Show where an executor spends its time; ARGS=sqlite for that database
	$(python) -m benchmarks.own.profile $(ARGS)
.PHONY: screenshots
screenshots: $(VENV)/test.installed ## Take the pictures in docs/images; it needs Chromium
	$(python) -m tests sqlite -- tests/browser/screenshots.py

LANGUAGES := de es fr ja pt zh_Hans
.PHONY: messages
messages: $(VENV)/test.installed ## Collect the strings to be translated, and compile the catalogs; it needs gettext
	cd django_scheduler && ../$(VENV)/bin/django-admin makemessages --no-location $(addprefix --locale=,$(LANGUAGES))
	cd django_scheduler && ../$(VENV)/bin/django-admin compilemessages

.PHONY: stubs
stubs: $(VENV)/test.installed ## Write the stubs anew that type checkers read: the package's, and that in tests/typing/project
	DATABASE_URL=sqlite://:memory: $(python) manage.py shell --command \
		'from pathlib import Path; from django_scheduler.stubs import stub_of; \
		Path("django_scheduler_functions/__init__.pyi").write_text(stub_of([]))'
	cd tests/typing/project && $(abspath $(python)) manage.py scheduler_stubs

.PHONY: docs
docs: $(VENV)/docs.installed ## Build the documentation into site/; what is wrong with it is an error
	NO_MKDOCS_2_WARNING=1 $(python) -m mkdocs build --quiet

.PHONY: check
check: $(VENV)/lint.installed ## Check format, lint, types, migrations and deployment settings
	$(python) -m ruff format --check .
	$(python) -m ruff check .
	$(python) -m mypy
	$(python) -m pyright --pythonpath $(python)
	cd tests/typing/project && $(abspath $(python)) manage.py scheduler_stubs --check
	cd tests/typing/project && $(abspath $(python)) -m mypy .
	cd tests/typing/project && $(abspath $(python)) -m pyright --pythonpath $(abspath $(python))
	DATABASE_URL=sqlite://:memory: $(python) manage.py makemigrations --check --dry-run
	DEBUG=False ALLOWED_HOSTS=shop.example DATABASE_URL=sqlite:///unused.sqlite3 \
		SECRET_KEY=$$($(python) -c 'import secrets; print(secrets.token_urlsafe(60))') \
		$(python) manage.py check --deploy --fail-level WARNING

.PHONY: format
format: $(VENV)/lint.installed ## Put all code into the form that check wants
	$(python) -m ruff check --fix-only .
	$(python) -m ruff format .

.PHONY: clean
clean: ## Remove what the other targets made
	rm -rf .venv $(VENV) .venv-* .nox .django-source .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist site
	rm -rf benchmarks/.environments benchmarks/.results
	find . -name __pycache__ -prune -exec rm -rf {} +

$(environment): | recent_python
	$(PYTHON) -m venv --clear $(VENV)
	$(install) $(if $(DJANGO),'Django~=$(DJANGO).0',Django)
	@touch $@

$(VENV)/%.installed: $(environment) pyproject.toml
	$(install) --editable '.[$*]'
	@touch $@

.PHONY: recent_python
recent_python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo 'Python 3.11 or newer is needed, and $(PYTHON) is' "$$($(PYTHON) --version 2>&1)." \
			'Name another one: make PYTHON=python3.13 ...' >&2; exit 1; }
