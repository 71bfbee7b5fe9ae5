# SPDX-License-Identifier: GPL-2.0-or-later
# Every target installs what it needs itself and may be run again; `make help` lists them.

PYTEST := .venv/bin/pytest --durations=15
# The integration tests mostly wait, each file for its own processes; the lab is one for all.
AT_ONCE := -n 3 --dist loadfile
# For `make demo ARGS=--keep` and `make test ARGS="-k domain"`.
ARGS ?=

.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-print-directory

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 24

demo: ready-for-lab ## the main job: a cluster in a box, broken in every way, with Backstay (ARGS=--keep leaves it up)
	@deb=$$(scripts/build-deb) && .venv/bin/backstay lab demo --deb "$$deb" $(ARGS)

demo-before: ready-for-lab ## the same faults with today's agents, to compare
	@deb=$$(scripts/build-deb) && .venv/bin/backstay lab demo --before --deb "$$deb" $(ARGS)

test: ready-for-lab ## all tests: unit, integration and the lab
	@$(PYTEST) $(AT_ONCE) tests/unit tests/lint tests/integration $(ARGS)
	@$(PYTEST) tests/lab $(ARGS)

test-full: test demo demo-before ## all tests, then both demos

unit: venv ## the quick tests, without root
	@$(PYTEST) tests/unit tests/lint $(ARGS)

lint: venv ## only the linters and house rules
	@$(PYTEST) tests/lint tests/unit/style $(ARGS)

integration: ready ## the tests with real tools, without a lab
	@$(PYTEST) $(AT_ONCE) tests/integration $(ARGS)

lab-test: ready-for-lab ## the tests on the cluster in a box
	@$(PYTEST) tests/lab $(ARGS)

deb: packages ## the Debian package, in dist/
	@scripts/build-deb

rpm: packages ## the RPM package, in dist/
	@scripts/build-rpm

format: venv ## puts the code into the house's form
	@.venv/bin/ruff check --fix --quiet . ; .venv/bin/ruff format .

venv: ## .venv with the test tools, on the distribution's Python
	@scripts/setup venv

packages: ## the distribution packages that are needed
	@scripts/setup packages

ready: packages venv

ready-for-lab:
	@scripts/setup lab packages venv

clean-lab: venv ## removes a lab that was left over
	@.venv/bin/python -m backstay lab down

clean: ## removes what was built here (not the lab, not the cache of the nodes' root)
	@rm -rf .venv .cache .hypothesis build dist lib/*.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help demo demo-before test test-full unit lint integration lab-test deb rpm format venv packages \
	ready ready-for-lab clean-lab clean
