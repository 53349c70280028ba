# Interlinea's commands; `make help` lists them.
#
# Two virtual environments, made when first needed and renewed when pyproject.toml changes:
#   .venv      serves, and so never has torch
#   .venv-dev  tests and trains
# PYTHON=... chooses the interpreter; every INTERLINEA_* variable reaches what is run.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?=
RECIPE ?= model_export/recipes/en-fr.toml
RESUME ?=
RUNS := $(or $(INTERLINEA_RUNS),runs)
STAGES ?= subwords labels train export distil refine sharpen export verify evaluate seal
BENCH ?= all
STRESS ?= openapi fuzz overload disconnects faults soak
DEV := .venv-dev/bin

# ONNX Runtime's released builds report their use to its maker unless they are told not to.
export ORT_DISABLE_TELEMETRY ?= 1

# $(call make_venv,FOLDER): an empty environment from the first Python that is new enough.
define make_venv
	python=; \
	for candidate in $(or $(PYTHON),python3 python3.13 python3.12 python3.11); do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	  then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo 'No Python 3.11 or newer found (tried: $(or $(PYTHON),python3 python3.13 python3.12 python3.11)).' >&2; \
	  echo 'Install one, or name it: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)' >&2; \
	  exit 1; \
	fi; \
	rm -rf $(1); \
	if ! "$$python" -m venv $(1); then \
	  rm -rf $(1); \
	  echo "$$python cannot make a virtual environment; it lacks venv or ensurepip." >&2; \
	  echo 'On Debian and Ubuntu: apt install python3-venv' >&2; \
	  exit 1; \
	fi
endef

PIP_INSTALL = -m pip install --quiet --disable-pip-version-check

.PHONY: help
help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

.PHONY: serve
serve: .venv/.ready ## Serve on INTERLINEA_HOST:INTERLINEA_PORT (127.0.0.1:8000)
	@exec .venv/bin/interlinea serve

.PHONY: test
test: lint ## Check everything: ruff, mypy, pytest
	@$(DEV)/python -m pytest

.PHONY: lint
lint: .venv-dev/.ready ## Check style and types only
	@$(DEV)/ruff check .
	@$(DEV)/ruff format --check .
	@$(DEV)/mypy

.PHONY: format
format: .venv-dev/.ready ## Put the code into the house style
	@$(DEV)/ruff check --fix --exit-zero .
	@$(DEV)/ruff format .

# The stages that are done stand in a note beside the run; the one that was interrupted is resumed.
.PHONY: model
model: .venv-dev/.ready .venv-dev/.labels ## Make the bundle of RECIPE; STAGES="export seal" runs a part, RESUME=1 goes on
	@mkdir -p "$(RUNS)"; note="$(RUNS)/$(basename $(notdir $(RECIPE))).stages"; \
	recipe=$$(cksum < "$(RECIPE)"); stages="$(strip $(STAGES)) "; option=; \
	if [ -n "$(RESUME)" ]; then \
	  begun=; made=; \
	  if [ -f "$$note" ]; then { read -r begun; IFS= read -r made; } < "$$note" || true; fi; \
	  case "$$begun: $$stages" in \
	    "$$recipe: $$made"*) echo "== done before: $${made:-nothing}";; \
	    *) echo 'make model began nothing like this: another recipe, or other stages.' >&2; exit 1;; \
	  esac; \
	  stages="$${stages#"$$made"}"; option=--resume; \
	else \
	  echo "$$recipe" > "$$note"; \
	fi; \
	for stage in $$stages; do \
	  echo "== $$stage"; \
	  case "$$stage" in train | distil | refine) ;; *) option=;; esac; \
	  $(DEV)/python -m model_export "$$stage" $$option "$(RECIPE)" || exit; \
	  printf '%s ' "$$stage" >> "$$note"; option=; \
	done

.PHONY: bench
bench: .venv-dev/.bench ## Measure against the peers; BENCH="peers --quick" runs a part
	@$(DEV)/python -m benchmarks $(BENCH)

.PHONY: stress
stress: .venv-dev/.ready ## Ask a running server too much; STRESS="fuzz --bodies 2000" runs a part
	@$(DEV)/python -m tests.stress $(STRESS)

.PHONY: deploy-lint
deploy-lint: .venv-dev/.deploy ## Check the containers' files with docker, haproxy, promtool and hadolint
	$(DEV)/hadolint Dockerfile
	@for profile in default scale gpu monitoring; do \
	  echo "docker compose --profile $$profile config"; \
	  docker compose --profile "$$profile" config --quiet || exit; \
	done
	haproxy -c -f deploy/haproxy/haproxy.cfg
	promtool check config deploy/prometheus/prometheus.yml
	promtool test rules deploy/prometheus/rules_test.yml
	@mkdir -p .cache && $(DEV)/python -m deploy.dashboard --rules > .cache/dashboard.yml
	promtool check rules .cache/dashboard.yml

# A project of its own on ports of its own, so that it leaves alone what already runs here.
.PHONY: deploy-check
deploy-check: export COMPOSE_PROJECT_NAME = interlinea-check
deploy-check: export COMPOSE_PROFILES = scale
deploy-check: export SETTINGS = deploy/failover.env
deploy-check: export PUBLISH = 18000
deploy-check: export PUBLISH_BALANCED = 18080
deploy-check: .venv-dev/.ready ## Bring the replicas up in docker, kill one under load, and count
	@trap 'docker compose down --volumes' EXIT; \
	docker compose up --build --detach --wait; \
	$(DEV)/python -m deploy.failover --url http://127.0.0.1:18080

.PHONY: clean
clean: ## Remove the environments, caches and builds; runs/ and data/ stay
	rm -rf .venv .venv-dev .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
	find benchmarks deploy model_export service tests -name __pycache__ -prune -exec rm -rf {} +

.venv/.ready: pyproject.toml
	@echo 'Installing Interlinea into .venv (once, about a minute) ...'
	@$(call make_venv,.venv)
	@.venv/bin/python $(PIP_INSTALL) --editable .
	@touch $@

.venv-dev/.ready: pyproject.toml
	@echo 'Installing the tools and torch into .venv-dev (once, some minutes) ...'
	@$(call make_venv,.venv-dev)
	@$(DEV)/python $(PIP_INSTALL) --editable '.[dev]'
	@touch $@

.venv-dev/.labels: .venv-dev/.ready
	@echo 'Building the aligner (needs a C compiler) ...'
	@$(DEV)/python $(PIP_INSTALL) --editable '.[train,labels]'
	@touch $@

.venv-dev/.deploy: .venv-dev/.ready
	@$(DEV)/python $(PIP_INSTALL) --editable '.[dev,deploy]'
	@touch $@

.venv-dev/.bench: .venv-dev/.ready
	@echo 'Installing the peers ...'
	@$(DEV)/python $(PIP_INSTALL) --editable '.[dev,bench]'
	@touch $@
