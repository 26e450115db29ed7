# run, test, check, serve: the words that CI says too.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CYCLE ?= 20260611T06Z

export DO_NOT_TRACK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false

.PHONY: help run page test check docs format soak bench serve deploy demo-package demo-record clean

help:
	@echo "make run      install (once), simulate the inputs of one cycle, forecast and publish it, show the page"
	@echo "make page     the web page, in stormcast_tw/site"
	@echo "make test     install what tests need (once), then the whole test suite"
	@echo "make check    ruff, mypy --strict, import contracts, and the documentation site"
	@echo "make docs     the documentation site, in var/docs; every link is checked"
	@echo "make soak     the long tables: every bad input, every stand-in, kill -9, fuzzing"
	@echo "make bench    what is timed, against what was promised"
	@echo "make serve    a Prefect server with the page of the runs, on loopback"
	@echo "make demo-package  train the demo package again: four hours of two cores"
	@echo "make demo-record   score it on 44 cycles that it never saw, and write that into its card"
	@echo "make deploy   pools, queues, deployments, alarms on the server of PREFECT_API_URL; CHECK=1 shows the difference"

# To run: the packages of requirements.lock. To test and develop: those of requirements-dev.lock too, and pysteps, which
# is built. Debian's packages that either needs are installed where one may, named where not.
$(VENV)/.installed: requirements.lock pyproject.toml infra/install.py
	@infra/system.sh $(PYTHON) run
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "stormcast-tw needs Python 3.11 or newer; set PYTHON=")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PYTHON) infra/install.py $(BIN)/python requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.installed
	@$(PYTHON) infra/install.py $(BIN)/python requirements-dev.lock
	@touch $@

$(VENV)/.test: requirements-rain.lock $(VENV)/.dev $(VENV)/.page
	@infra/system.sh $(PYTHON) test
	@$(PYTHON) infra/install.py $(BIN)/python requirements-rain.lock || \
	  { echo "pysteps could not be built: what needs it is not tried" >&2; test -z "$$CI"; }
	@touch $@

$(VENV)/.page: requirements-page.lock $(VENV)/.installed
	@$(PYTHON) infra/install.py $(BIN)/python requirements-page.lock
	@touch $@

# The page is built once for the same sources. Where it cannot be, the forecast has ended all the same.
run: $(VENV)/.installed
	@$(BIN)/stormcast-tw simulate --cycle $(CYCLE)
	@$(BIN)/stormcast-tw forecast --cycle $(CYCLE)
	@$(MAKE) --no-print-directory page && $(BIN)/stormcast-tw page install || \
	  echo "the page is not built here; once Node can be installed: make page"
	@if [ -t 1 ] && [ -e stormcast_tw/site/index.html ]; then $(BIN)/stormcast-tw page serve; \
	  else echo "to see it: $(BIN)/stormcast-tw page serve (http://127.0.0.1:8765/site/)"; fi

page: $(VENV)/.page
	@$(BIN)/python infra/build_page.py stormcast_tw/site

test: $(VENV)/.test
	@$(BIN)/python -m tests.budget -n 2 --dist loadfile --no-loadscope-reorder

soak: $(VENV)/.test
	$(BIN)/python soak/bytes_read.py
	$(BIN)/python -m pytest soak
	$(BIN)/python -m soak.second_opinion 2022 2023 2025
	$(BIN)/python -m soak.second_opinion 2025 --native 50
	for parsers in grib netcdf zip_zarr qpesums; do $(BIN)/python -m soak.fuzz_$$parsers || exit 1; done
	$(BIN)/python -m soak.fuzz_qpesums --guided

check: $(VENV)/.dev docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.dev
	$(BIN)/sphinx-build -W --keep-going -q -b html docs var/docs
	@echo "var/docs/index.html"

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.test
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

deploy: $(VENV)/.installed
	@$(BIN)/python -m stormcast_tw.deployments.bootstrap $(if $(CHECK),--check)

serve: $(VENV)/.installed
	PREFECT_HOME=$(CURDIR)/var/prefect $(BIN)/prefect server start --host 127.0.0.1

# From nothing to packages/demo: on analyses, on forecasts, then driven by them: four hours of two cores; after a kill it goes on.
DEMO_RUN ?= var/demo_run
TRAIN = OMP_NUM_THREADS=1 $(BIN)/torchrun --nproc-per-node 2 -m stormcast_tw.cli train run --threads 1 --channels-last

demo-package: $(VENV)/.installed
	$(BIN)/stormcast-tw prepare demo
	$(TRAIN) demo --output $(DEMO_RUN)/analyses
	$(BIN)/stormcast-tw prepare demo_tuned
	$(TRAIN) demo_tuned --base $(DEMO_RUN)/analyses/package --output $(DEMO_RUN)/forecasts
	$(TRAIN) demo_driven --base $(DEMO_RUN)/forecasts/package --output $(DEMO_RUN)/driven
	rm -rf packages/demo && cp -r $(DEMO_RUN)/driven/package packages/demo

# Its record: 44 cycles of a year that it never saw, of all regimes: ten days, and 00 UTC of four with thunderstorms in the
# afternoon, which 6 h into a forecast make its regime; then what a score does not say.
RECORD_DAYS := 20250112 20250214 20250428 20250516 20250607 20250720 20250804 20250824 20250912 20251108
RECORD_MORNINGS := 20250710 20250723 20250807 20250820
RECORD_FIRST := 20250112T00Z
RECORD_LAST := 20251108T18Z

demo-record: $(VENV)/.test
	{ for day in $(RECORD_DAYS); do for hour in 00 06 12 18 24 30; do echo $$day $$hour; done; done; \
	  for day in $(RECORD_MORNINGS); do for hour in 00 06 12; do echo $$day $$hour; done; done; } | \
	  while read day hour; do date -u -d "$$day $$hour hours" +%Y%m%dT%HZ; done | \
	  xargs -P 2 -I CYCLE $(BIN)/stormcast-tw simulate --cycle CYCLE
	{ for day in $(RECORD_DAYS); do echo --start $${day}T00Z --end $${day}T18Z; done; \
	  for day in $(RECORD_MORNINGS); do echo --start $${day}T00Z --end $${day}T00Z; done; } | \
	  OMP_NUM_THREADS=1 xargs -P 2 -L 1 $(BIN)/stormcast-tw backfill --experiment record
	printf '%s\n' simulated operational | OMP_NUM_THREADS=1 xargs -P 2 -I TRUTH $(BIN)/stormcast-tw verify run \
	  --start $(RECORD_FIRST) --end $(RECORD_LAST) --experiment record --truth TRUTH
	digest=$$($(BIN)/stormcast-tw package show packages/demo --json | sed -n 's/.*"digest": "\(.\{12\}\).*/\1/p') && \
	  $(BIN)/stormcast-tw train record packages/demo \
	  $${STORMCAST_TW_PUBLISHED_ROOT:-var}/published/record/verification/*/$${digest}_$(RECORD_FIRST)_$(RECORD_LAST)/scorecard.json
	$(BIN)/stormcast-tw prepare acceptance
	$(BIN)/stormcast-tw train accept packages/demo

clean:
	rm -rf var
