# The verbs of a day; everything else is a command of `penumbra`, which bin/penumbra sets up and runs.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help train serve test test-all lint monitor promote dashboard replay bench docs lock clean

PYTHON ?= python3
# What is said on the command line is text: make expands nothing in it, and no shell does, as recipes read the environment.
from_command_line := $(foreach each,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(each)))),$(each)))
$(foreach each,PYTHON ARGS NAME UPGRADE CLUSTER $(from_command_line),$(eval override $(each) := $$(value $(each))))
export PYTHON ARGS NAME $(from_command_line)
VENV := .venv
BIN := $(VENV)/bin
# A lock names all that is installed: not to look for dependencies takes a third of the processor time.
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps
# An eighth of what is installed is ever imported: bytecode is written where a module is imported first, not for all of it.
unexport PYTHONDONTWRITEBYTECODE

help: ## every target, one line each
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "Everything else: bin/penumbra --help"

train: $(VENV)/runtime checkout ## ingest, fit the candidates side by side, score, register; the first model becomes live (CLUSTER=1: in pods)
	@$(BIN)/penumbra train $(if $(CLUSTER),--cluster)

serve: $(VENV)/runtime ## answer POST /predict with the live model on 127.0.0.1:3000
	@$(BIN)/penumbra serve

monitor: $(VENV)/runtime checkout ## judge the windows that are over: data faults, drift, loss; retrain where that is called for
	@$(BIN)/penumbra monitor

promote: $(VENV)/runtime checkout ## weigh candidate and promotion by shadow and labels, and act on it
	@$(BIN)/penumbra promote

dashboard: $(VENV)/runtime ## the loop, MLflow's pages and Evidently's side by side; ends with Ctrl-C
	@$(BIN)/penumbra dashboard

replay: $(VENV)/runtime checkout ## the later months day by day through the real loop, with a report at its end
	@$(BIN)/penumbra replay

# A thread for each of the processes beside each other: small frames take a quarter less so. test-all has as many as cores.
test: export POLARS_MAX_THREADS ?= 1
test: $(VENV)/development checkout ## your problem on a sample, then what the engine promises, in a minute or two (ARGS="-k name" for a part)
	$(call run_both,-n 2 --dist loadfile --no-loadscope-reorder)

test-all: $(VENV)/development $(if $(wildcard tests),$(VENV)-label-studio/ready) checkout ## that and the whole flows: trained, killed, rebuilt, reproduced (some twenty minutes)
	$(call run_both,-m "not alone" -n 2 --dist loadfile --no-loadscope-reorder)
	@$(call run_tests,tests,-m alone -n 2 --dist loadgroup,$(if $(wildcard tests),$(shell grep -rl --include='test_*.py' 'mark\.alone' tests)))

# The tests of a folder, or of some of its files, as collecting all takes some seconds; unless ARGS names paths,
# in the other one only or in this. That ARGS choose none of them (5) is no failure, nor that a project has no tests/.
chosen = $(or $(filter $1 $1/%,$(ARGS)),$(if $(filter tests tests/% problem_tests problem_tests/%,$(ARGS)),,$(wildcard $1)))
PYTEST := $(BIN)/python -c 'import os, shlex, sys, pytest; sys.exit(pytest.main(sys.argv[1:] + shlex.split(os.environ["ARGS"])))'
run_tests = $(if $(chosen),$(PYTEST) $(patsubst $1,$(or $3,$1),$(filter-out $(ARGS),$(chosen))) $2 || [ $$? = 5 ],:)
# With a cache of their own, as that of the run beside them would be written over theirs: --lf knows what failed in both.
run_problem = $(call run_tests,problem_tests,$(if $(findstring no:cacheprovider,$(ARGS)),,-o cache_dir=.pytest_cache/problem_tests))
# Both, the engine's with these options. Those of the problem take one core for some seconds: they run beside the others,
# and are shown last, before the folders in which something failed; unless there are ARGS, which may ask for a debugger.
run_both = @$(if $(or $(ARGS),$(if $(wildcard tests),,alone)),$(run_problem); $(call run_tests,tests,$1),\
	shown=$$(mktemp); trap 'rm "$$shown"' EXIT; ($(run_problem)) >"$$shown" 2>&1 & beside=$$!; failed=; \
	$(call run_tests,tests,$1) || failed=" tests/"; wait $$beside || failed+=" problem_tests/"; cat "$$shown"; \
	[ -z "$$failed" ] || { echo "Tests failed in:$$failed"; exit 1; })

lint: $(VENV)/development ## format, lint and type checks
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy

bench: $(VENV)/development checkout ## measure something: NAME=serve (`penumbra bench --help` lists the names)
	$(if $(NAME),,$(error say which: make bench NAME=serve))@$(BIN)/penumbra bench "$$NAME"

docs: $(VENV)/development ## the documentation as a site that works offline
	@$(BIN)/penumbra docs

LOCK := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
lock: $(VENV)/uv ## pin the dependencies anew, moving only what must; UPGRADE=1 for the newest (needs the network)
	@for lock in "pyproject.toml --extra train --extra s3 --extra cluster --extra docs --extra dev -o locks/dev.lock" \
	             "pyproject.toml --extra train -c locks/dev.lock -o locks/runtime.lock" \
	             "pyproject.toml --extra s3 -c locks/dev.lock -o locks/s3.lock" \
	             "pyproject.toml --extra train --extra s3 --extra cluster -c locks/dev.lock -o locks/cluster.lock" \
	             "pyproject.toml -c locks/dev.lock -o locks/serve.lock" \
	             "locks/mlflow.in -o locks/mlflow.lock" \
	             "locks/series.in --no-deps -o locks/series.lock" \
	             "locks/label-studio.in --no-deps -o locks/label-studio.lock" \
	             "locks/uv.in -o locks/uv.lock"; do \
	  $(BIN)/uv pip compile --quiet $(LOCK) $(if $(UPGRADE),--upgrade) $$lock; \
	done

clean: ## forget everything derived: environments, runs, models, logs (data/ and its versions stay)
	@rm -rf $(VENV) $(VENV)-mlflow $(VENV)-series $(VENV)-label-studio var .metaflow/[A-Z]* .pytest_cache .mypy_cache .ruff_cache

.PHONY: checkout
checkout:
	@git rev-parse --verify --quiet HEAD >/dev/null || { echo "This is no git checkout with a commit, and models \
	record the revision that made them: run 'git init && git add -A && git commit -m start' first." >&2; exit 1; }

# With the pip of PYTHON, where it has one: an environment's own takes longer to install than uv does.
PIP_UV := install --quiet --disable-pip-version-check --require-hashes -r locks/uv.lock
$(VENV)/uv:
	@"$$PYTHON" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { echo "Penumbra needs Python \
	3.11 to 3.13 and $$PYTHON is $$("$$PYTHON" --version 2>&1): name another one with 'make PYTHON=python3.12 …'." >&2; exit 1; }
	@if "$$PYTHON" -c 'import pip' 2>/dev/null; then \
	  "$$PYTHON" -m venv --without-pip $(VENV); "$$PYTHON" -m pip --python $(BIN)/python $(PIP_UV); \
	else "$$PYTHON" -m venv $(VENV); $(BIN)/python -m pip $(PIP_UV); fi
	@touch $@

$(VENV)/runtime: locks/runtime.lock pyproject.toml | $(VENV)/uv
	@echo "Setting up $(VENV) from locks/runtime.lock (once, a minute or so) ..."
	@$(UV) --require-hashes -r locks/runtime.lock
	@$(UV) --no-build-isolation --editable .
	@touch $@

$(VENV)/development: locks/dev.lock $(VENV)/runtime
	@$(UV) --require-hashes -r locks/dev.lock
	@touch $@

$(VENV)-mlflow/ready: locks/mlflow.lock | $(VENV)/uv
	@"$$PYTHON" -m venv $(VENV)-mlflow
	@$(BIN)/uv pip install --quiet --python $(VENV)-mlflow/bin/python --compile-bytecode --require-hashes -r locks/mlflow.lock
	@touch $@

$(VENV)-series/ready: locks/series.lock | $(VENV)/uv
	@$(BIN)/uv pip install --quiet --no-deps --require-hashes --target $(VENV)-series -r locks/series.lock
	@touch $@

$(VENV)-label-studio/ready: locks/label-studio.lock | $(VENV)/uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes --target $(VENV)-label-studio -r locks/label-studio.lock
	@touch $@
