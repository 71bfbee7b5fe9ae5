# SPDX-License-Identifier: GPL-2.0-or-later
# Every target installs what it needs itself and may be run again; `make help` lists them.

PYTEST := .venv/bin/pytest --durations=15
# The integration tests mostly wait, each file for its own processes, so one more than there are cores goes on at once;
# the lab is one for all. tests/conftest.py has the order; by itself xdist would keep the files with the fewest tests,
# which are the slowest, for the end.
AT_ONCE := -n 3 --dist loadfile --no-loadscope-reorder
# Tests that `make test` has no time for; they run in `make test-full`, or by hand (tests/records.md).
QUICK := -m "not long"
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

demo-frontend: ready-for-lab ## the first story: a manager and a crashed libvirtd, without Backstay and with it, then a lost host
	@deb=$$(scripts/build-deb) && .venv/bin/backstay lab demo-frontend --deb "$$deb" $(ARGS)

test: ready-for-lab ## the tests: unit, integration and the lab, but for the long ones
	@$(PYTEST) $(AT_ONCE) $(QUICK) tests/unit tests/lint tests/integration $(ARGS)
	@$(PYTEST) $(QUICK) tests/lab $(ARGS)

test-full: QUICK :=
test-full: export BACKSTAY_KILLS ?= 12
test-full: test kernel-test demo demo-before demo-frontend ## all tests, the long ones and those on VM nodes too, then the demos

test-fresh: packages ## what a newcomer does, twice, in a fresh minimal Debian 12 (not part of CI)
	@scripts/fresh

test-debian: packages ## Debian's autopkgtest in such a container: metadata, units, the cluster (ARGS=metadata for one)
	@scripts/build-deb >/dev/null && scripts/fresh --packages "scripts/autopkgtest $(ARGS)"

unit: venv ## the quick tests, without root
	@$(PYTEST) -n 2 tests/unit tests/lint $(ARGS)

lint: venv ## only the linters and house rules
	@$(PYTEST) tests/lint tests/unit/style $(ARGS)

integration: ready ## the tests with real tools, without a lab, but for the long ones
	@$(PYTEST) $(AT_ONCE) $(QUICK) tests/integration $(ARGS)

integration-long: ready ## the long tests with real tools (ARGS="-k its_name" for one)
	@$(PYTEST) $(AT_ONCE) -m long tests/integration $(ARGS)

lab-test: ready-for-lab ## the tests on the cluster in a box, but for the long ones
	@$(PYTEST) $(QUICK) tests/lab $(ARGS)

lab-test-long: ready-for-lab ## the long tests on the cluster in a box (ARGS="-k swap" for one)
	@$(PYTEST) -m long tests/lab $(ARGS)

kernel-test: ready-for-lab ## the tests on VM nodes, which have a kernel of their own, but for the long ones
	@$(PYTEST) $(QUICK) tests/kernel $(ARGS)

kernel-test-long: ready-for-lab ## the long tests on VM nodes (ARGS="-k its_name" for one)
	@$(PYTEST) -m long tests/kernel $(ARGS)

bench-agents: ready-for-lab ## what a monitor costs, beside ocf:heartbeat:VirtualDomain (ARGS=--record keeps it)
	@.venv/bin/python bench/agents $(ARGS)

bench-fencing: ready ## what a fencing takes, beside fence_ipmilan if that is installed (ARGS=--record keeps it)
	@.venv/bin/python bench/fencing $(ARGS)

bench-render: ready ## what a cloud of 100 hosts and 1000 domains takes to render and validate (ARGS=--record keeps it)
	@.venv/bin/python bench/render $(ARGS)

mutate-fencing: ready ## whether the rehearsal sees a fence agent broken in every way: minutes to hours (ARGS="--sample 50")
	@.venv/bin/python bench/mutate-fencing $(ARGS)

deb: packages ## the Debian packages, in dist/
	@scripts/build-deb

rpm: packages ## the RPM packages, in dist/
	@scripts/build-rpm

wheel: packages ## source distribution and wheel, for pip, in dist/
	@scripts/build-wheel

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

.PHONY: help demo demo-before demo-frontend test test-full unit lint integration integration-long lab-test lab-test-long kernel-test kernel-test-long deb rpm wheel format venv packages \
	ready ready-for-lab clean-lab clean test-fresh test-debian bench-agents bench-fencing bench-render \
	mutate-fencing
