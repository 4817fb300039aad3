# `make help` lists what there is. Each target sets up what it needs.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help ingest doctor train reingest quarantine restore reproduce serve test test-all lint bench-ingest bench-serve bench-train lock clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode
unexport PYTHONDONTWRITEBYTECODE

# No library calls home, and nothing at run time needs the network.
export BENTOML_DO_NOT_TRACK := True
export DO_NOT_TRACK := 1
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export ORT_DISABLE_TELEMETRY := 1
export METAFLOW_RUN_MAX_WORKERS ?= $(shell getconf _NPROCESSORS_ONLN)

help: ## every target, one line each
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

ingest: $(VENV)/runtime checkout ## check the batches that have arrived and make them a data version
	@$(BIN)/python flows/ingest.py --no-pylint run

doctor: $(VENV)/runtime checkout ## examine data, contract and features: leakage, dead columns, keys, time, train/serve skew
	@$(BIN)/python -m flows.steps.doctor.examination

train: ingest ## ingest, fit the candidates side by side, score, register; the first model becomes live
	@[ -e var/train/receipts ] || [ "$${DOCTOR:-on}" = off ] || $(BIN)/python -m flows.steps.doctor.examination
	@$(BIN)/python -m flows.steps.train.already_trained || { [ $$? = 3 ] && $(BIN)/python flows/train.py --no-pylint run \
	  $(if $(filter off,$(DOCTOR)),--doctor "skipped: DOCTOR=off"); }
	@echo && cat var/train/receipts/latest.txt

.PHONY: experiment compare
experiment: $(VENV)/runtime checkout ## one candidate, on a sample first and then in full: ONLY=gradient_boosting
	@[ -d "$${PENUMBRA_DATA__FOLDER:-data}/batches" ] || $(MAKE) --no-print-directory ingest
	@$(BIN)/python flows/experiment.py --no-pylint run --only "$(or $(ONLY),$(error say which: make experiment ONLY=gradient_boosting))"
	@echo && cat var/train/receipts/latest.txt

compare: $(VENV)/runtime ## the latest experiments and trainings side by side, and what changed between them (LAST=6)
	@$(BIN)/python -m penumbra.cli.compare $(or $(LAST),6)

reingest: $(VENV)/runtime checkout ## fetch and check a batch anew: BATCH=2013-02
	@$(BIN)/python flows/ingest.py --no-pylint run --again "$(or $(BATCH),$(error say which: make reingest BATCH=2013-02))"

quarantine: $(VENV)/runtime ## the rejected rows by batch and rule
	@$(BIN)/python -m penumbra.cli.quarantine

restore: $(VENV)/runtime ## the data that a model was made from: RUN=<run or model version> INTO=<new folder>
	@$(BIN)/python -m penumbra.cli.restore "$(or $(RUN),$(error say of what: make restore RUN=1 INTO=old))" "$(or $(INTO),restored)"

reproduce: $(VENV)/runtime checkout ## train a model again and compare: RUN=<run or model version>
	@$(BIN)/python -m penumbra.cli.reproduce "$(or $(RUN),$(error say which: make reproduce RUN=1))"

serve: $(VENV)/runtime ## answer POST /predict with the live model on 127.0.0.1:3000
	@$(BIN)/python -m service

.PHONY: deploy-bento
deploy-bento: $(VENV)/runtime ## the service with its models as one bento, which starts without a registry; prints its folder
	@$(BIN)/python -m deploy.bento

.PHONY: explain labels rules shadow
explain: $(VENV)/runtime ## where an answer came from, back to the raw batches: ID=<prediction_id>
	@$(BIN)/python -m penumbra.cli.explain "$(ID)"

labels: $(VENV)/runtime ## which predictions have their labels, since when, and what came of every label
	@$(BIN)/python -m penumbra.cli.label_report

rules: $(VENV)/runtime ## the business rules, how often each fired, how many rows wait for review
	@$(BIN)/python -m penumbra.cli.rule_report

shadow: $(VENV)/runtime ## who is in the shadow, how much of the traffic each has answered, how far it agrees with live
	@$(BIN)/python -m penumbra.cli.shadow_report

.PHONY: promote rollback history
promote: $(VENV)/runtime checkout ## weigh candidate and promotion by shadow and labels, and act on it; FORCE=1 REASON="…" (VERSION=2)
	@$(if $(FORCE),$(if $(REASON),,$(error say why: make promote FORCE=1 REASON="…")))$(BIN)/python flows/promote.py \
	  --no-pylint run --force "$(if $(FORCE),True,False)" --reason "$${REASON:-}" --version "$${VERSION:-}"

rollback: $(VENV)/runtime ## the previous model answers again at once, with or without the registry (REASON="…" TO=1)
	@$(BIN)/python -m penumbra.cli.rollback "$${REASON:-}" "$${TO:-}"

history: $(VENV)/runtime ## every verdict, promotion and rollback; ENTRY=7 for its evidence, REBUILD=1 for the registry's aliases
	@$(BIN)/python -m penumbra.cli.history $(if $(REBUILD),rebuild,$(ENTRY))

.PHONY: overview dashboard
overview: $(VENV)/runtime ## the loop on one page, which works offline and on a phone; prints where it is
	@$(BIN)/python -m monitoring.dashboard.overview

dashboard: $(VENV)/runtime ## that page, MLflow's and Evidently's side by side; prints the addresses, ends with Ctrl-C
	@$(BIN)/python -m monitoring.dashboard.processes

.PHONY: monitor schedule unschedule
monitor: $(VENV)/runtime checkout ## judge the windows that are over: data faults, drift, loss; retrain where that is called for
	@$(BIN)/python flows/monitor.py --no-pylint run

schedule: $(VENV)/runtime ## ingest, monitor and promote every night, by cron or systemd
	@$(BIN)/python -m penumbra.cli.schedule

unschedule: $(VENV)/runtime ## take exactly those entries away again
	@$(BIN)/python -m penumbra.cli.schedule off

test: $(VENV)/development checkout ## what the project promises about itself, in about a minute (ARGS="-k name" for a part)
	@$(BIN)/python -m pytest $(ARGS)

test-all: $(VENV)/development checkout ## that and the whole flows: trained, killed, rebuilt, reproduced (twenty minutes)
	@$(BIN)/python -m pytest -m "not alone" -n 2 --dist loadfile $(ARGS) || [ $$? = 5 ]
	@$(BIN)/python -m pytest -m alone $(ARGS) || [ $$? = 5 ]

lint: $(VENV)/development ## format, lint and type checks
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy

.PHONY: backtest
backtest: $(VENV)/runtime ## policies of retraining side by side over the later months: loss, retrainings, mistakes, cost
	@$(BIN)/python -m penumbra.simulation.backtest.run

.PHONY: replay demo
demo: $(VENV)/runtime checkout ## play two weeks, and put the replay's last words and its picture into the README
	@DAYS=$${DAYS:-14} $(BIN)/python -m penumbra.simulation.replay.demo

replay: $(VENV)/runtime checkout ## the later months day by day through the real loop, with a report at its end (DAYS=14: a short one)
	@$(BIN)/python -m penumbra.simulation.replay.run

.PHONY: bench-patterns
bench-patterns: $(VENV)/development ## each pattern of problem/candidates.py beside its plain counterpart, month by month
	@$(BIN)/python -m benchmarks.patterns

bench-train: $(VENV)/development checkout ## the training flow beside a plain script doing the same fits
	@$(BIN)/python -m benchmarks.train

bench-ingest: $(VENV)/development ## ingest beside plain polars; one more batch after 10, 100 and 1,000
	@$(BIN)/python -m benchmarks.ingest

bench-serve: $(VENV)/development $(VENV)-mlflow/ready ## POST /predict beside other servers, with the shadow on and off, with faulty candidates, swapped
	@$(BIN)/python -m benchmarks.serve

.PHONY: bench-promotion
bench-promotion: $(VENV)/development ## how often equal models are promoted, how soon better ones, how soon broken ones stop
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.promotion

.PHONY: bench-monitor bench-alarms
bench-monitor: $(VENV)/development ## what counting a million answers, judging a window and the reports on it cost, beside Evidently on all rows
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.monitor

bench-alarms: $(VENV)/development ## how often nothing raises an alarm, how soon drift does, which data faults are found
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.alarms

LOCK := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
lock: $(VENV)/uv ## pin the dependencies anew, moving only what must; UPGRADE=1 for the newest (needs the network)
	@for lock in "pyproject.toml --extra train --extra s3 --extra docs --extra dev -o locks/dev.lock" \
	             "pyproject.toml --extra train -c locks/dev.lock -o locks/runtime.lock" \
	             "pyproject.toml --extra s3 -c locks/dev.lock -o locks/s3.lock" \
	             "pyproject.toml -c locks/dev.lock -o locks/serve.lock" \
	             "locks/mlflow.in -o locks/mlflow.lock" \
	             "locks/uv.in -o locks/uv.lock"; do \
	  $(BIN)/uv pip compile --quiet $(LOCK) $(if $(UPGRADE),--upgrade) $$lock; \
	done

clean: ## forget everything derived: environments, runs, models, logs (data/ and its versions stay)
	@rm -rf $(VENV) $(VENV)-mlflow var .metaflow/[A-Z]* .pytest_cache .mypy_cache .ruff_cache

.PHONY: checkout
checkout:
	@git rev-parse --verify --quiet HEAD >/dev/null || { echo "This is no git checkout with a commit, and models \
	record the revision that made them: run 'git init && git add -A && git commit -m start' first." >&2; exit 1; }

$(VENV)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { echo "Penumbra needs Python \
	3.11 to 3.13 and $(PYTHON) is $$($(PYTHON) --version 2>&1): name another one with 'make PYTHON=python3.12 …'." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/uv.lock
	@touch $@

$(VENV)/runtime: locks/runtime.lock pyproject.toml | $(VENV)/uv
	@echo "Setting up $(VENV) from locks/runtime.lock (once) ..."
	@$(UV) --require-hashes -r locks/runtime.lock
	@$(UV) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/development: locks/dev.lock $(VENV)/runtime
	@$(UV) --require-hashes -r locks/dev.lock
	@touch $@

$(VENV)-mlflow/ready: locks/mlflow.lock | $(VENV)/uv
	@$(PYTHON) -m venv $(VENV)-mlflow
	@$(BIN)/uv pip install --quiet --python $(VENV)-mlflow/bin/python --compile-bytecode --require-hashes -r locks/mlflow.lock
	@touch $@
