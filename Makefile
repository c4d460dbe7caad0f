# Every target sets up what it needs first. Builds and caches live outside the checkout: see .ci/env.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

ARGS ?=
SEEDS ?= 20
ROUNDS ?= 30
SECONDS ?= 30
SCENARIOS ?= 512 50 gzip 20k steady idle
DIMENSIONS ?=
# Not `?=`: bash has a GROUPS of its own.
GROUPS = 600
HOURS ?= 48
VARIANT ?= usual
MODES ?= kill power full eio
KINDS ?=
TARGETS ?= protobuf json decompressors records
HISTORIES ?= 10000
SEED ?= 1
CARGO_FLAGS ?=
WITH_ENV := . .ci/env
# The simulator is the same code under other flags, in a target folder of its own.
SIM := CARGO_TARGET_DIR="$$SIM_TARGET_DIR" RUSTFLAGS="$$SIM_RUSTFLAGS" cargo
FUZZ := CARGO_TARGET_DIR="$$FUZZ_TARGET_DIR" RUSTFLAGS="$$FUZZ_RUSTFLAGS" CC="$$FUZZ_CC" CFLAGS="$$FUZZ_CFLAGS" cargo

.PHONY: help dev build test conformance e2e crash clients chaos chaos-plants abuse sim histories fuzz bench bench-peers bench-storage fmt lint

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1\t\2/p' Makefile | while IFS=$$'\t' read -r name text; do \
	    printf '  make %-13s %s\n' "$$name" "$$text"; done

dev: build ## build and run `tributary dev`: ARGS="--demo --data DIR --port-offset N"
	@$(WITH_ENV); exec "$$CARGO_TARGET_DIR/release/tributary" dev $(ARGS)

build: ## build the release binary
	@$(WITH_ENV); .ci/setup release; cargo build $(CARGO_FLAGS) --release -p tributary-node

test: ## unit, property and conformance tests
	@$(WITH_ENV); .ci/setup debug; cargo test $(CARGO_FLAGS)
	@$(WITH_ENV); cargo test $(CARGO_FLAGS) -p tributary-bench
	@$(WITH_ENV); cargo test $(CARGO_FLAGS) -p tributary-fuzz --lib

conformance: ## the PromQL golden queries: PROMQL_GOLDEN_DIR names their folder
	@$(WITH_ENV); .ci/setup debug; cargo test $(CARGO_FLAGS) -p tributary-query --test golden -- --nocapture

e2e: build ## the real binary, end to end: ARGS="answers demo" picks themes, ARGS=--list names them
	@$(WITH_ENV); .ci/setup e2e; e2e/run $(ARGS)

crash: build ## kill -9 under load and count: ROUNDS=30, ARGS="--seed N"
	@$(WITH_ENV); .ci/setup crash; e2e/crash --rounds $(ROUNDS) $(ARGS)

# A binary that TRIBUTARY_BIN names is taken as it is. ROUNDS is 8 here unless it is given.
clients: $(if $(TRIBUTARY_BIN),,build) ## SDKs and Collectors while the edge is killed, its disk full; root: ROUNDS=8 ARGS="short long lost full"
	@$(WITH_ENV); .ci/setup clients; clients/run --rounds $(if $(filter file,$(origin ROUNDS)),8,$(ROUNDS)) $(ARGS)

# A binary that TRIBUTARY_BIN names is taken as it is.
CHAOS := "$$CARGO_TARGET_DIR/release/tributary-chaos"

chaos: $(if $(TRIBUTARY_BIN),,build) chaos-build ## kills, power cuts, bad disks, exact sums; root: ROUNDS=200 MODES="kill power full eio"
	@$(WITH_ENV); export TRIBUTARY_BIN="$${TRIBUTARY_BIN:-$$CARGO_TARGET_DIR/release/tributary}"; \
	    $(CHAOS) run --rounds $(ROUNDS) $(MODES:%=--mode %) $(ARGS)

# ROUNDS is 60 here unless it is given.
chaos-plants: $(if $(TRIBUTARY_BIN),,plants-build) chaos-build ## bugs on purpose that chaos must catch; root: ROUNDS=60 ARGS="--only NAME --seed N"
	@$(WITH_ENV); export TRIBUTARY_BIN="$${TRIBUTARY_BIN:-$$PLANTS_TARGET_DIR/release/tributary}"; \
	    $(CHAOS) plants --rounds $(if $(filter file,$(origin ROUNDS)),60,$(ROUNDS)) $(ARGS)

.PHONY: chaos-build plants-build
plants-build:
	@$(WITH_ENV); .ci/setup release; \
	    cargo build $(CARGO_FLAGS) --release -p tributary-node --features plants --target-dir "$$PLANTS_TARGET_DIR"

# ROUNDS is 5 and SECONDS is 15 here unless they are given.
abuse: $(if $(TRIBUTARY_BIN),,build) chaos-build ## a memory ceiling under abuse, and a healthy client's latency: ROUNDS=5 SECONDS=15 KINDS="slow bombs deep wide heads resets groups"
	@$(WITH_ENV); export TRIBUTARY_BIN="$${TRIBUTARY_BIN:-$$CARGO_TARGET_DIR/release/tributary}"; \
	    $(CHAOS) abuse --rounds $(if $(filter file,$(origin ROUNDS)),5,$(ROUNDS)) \
	    --seconds $(if $(filter file,$(origin SECONDS)),15,$(SECONDS)) $(KINDS:%=--kind %) $(ARGS)

chaos-build:
	@$(WITH_ENV); .ci/setup chaos; cargo test $(CARGO_FLAGS) -q -p tributary-chaos
	@$(WITH_ENV); cargo build $(CARGO_FLAGS) --release -p tributary-chaos

sim: ## the simulation: SEEDS=20
	@$(WITH_ENV); .ci/setup sim; $(SIM) test $(CARGO_FLAGS) -q -p tributary-sim
	@$(WITH_ENV); $(SIM) run $(CARGO_FLAGS) -q -p tributary-sim -- --seeds $(SEEDS) $(ARGS)

histories: ## random histories of the store against plain maps of integers: HISTORIES=10000 SEED=1, a twentieth on RocksDB
	@$(WITH_ENV); .ci/setup debug; HISTORIES=$(HISTORIES) SEED=$(SEED) \
	    cargo test $(CARGO_FLAGS) -p tributary-store --features rocksdb --test histories -- --nocapture --test-threads 1 $(ARGS)

# SECONDS is 600 here unless it is given.
fuzz: ## coverage-guided fuzzing: SECONDS=600 for each of TARGETS="protobuf json decompressors records"
	@$(WITH_ENV); .ci/setup fuzz; host=$$(rustc -vV | sed -n 's/^host: //p'); \
	    $(FUZZ) build $(CARGO_FLAGS) --profile fuzz -p tributary-fuzz --target "$$host"; \
	    fuzz/run --seconds $(if $(filter file,$(origin SECONDS)),600,$(SECONDS)) \
	        --bin "$$FUZZ_TARGET_DIR/$$host/fuzz" $(TARGETS)

bench: ## benchmarks: ARGS="--bench NAME" picks one
	@$(WITH_ENV); .ci/setup bench; cargo bench $(CARGO_FLAGS) -p tributary-bench $(ARGS)

# A binary named in TRIBUTARY_BIN is measured as it is. ROUNDS is 3 here unless it is given.
bench-peers: $(if $(TRIBUTARY_BIN),,build) ## against the Collector: SCENARIOS="512 idle", ROUNDS=3, SECONDS=30, DIMENSIONS="http.route"
	@$(WITH_ENV); .ci/setup bench-peers; cargo build $(CARGO_FLAGS) --release -p tributary-bench; \
	    bench/peers/run --rounds $(if $(filter file,$(origin ROUNDS)),3,$(ROUNDS)) --seconds $(SECONDS) \
	    --dimensions "$(DIMENSIONS)" $(ARGS) $(SCENARIOS)

bench-storage: ## bytes on disk beside VictoriaMetrics and Prometheus: GROUPS=600 HOURS=48 VARIANT=usual (full, sparse)
	@$(WITH_ENV); .ci/setup bench-storage; \
	    cargo bench $(CARGO_FLAGS) -p tributary-bench --bench store_bytes --no-run; \
	    bench/peers/storage --groups $(GROUPS) --hours $(HOURS) --variant $(VARIANT) $(ARGS)

fmt: ## format the code
	@$(WITH_ENV); .ci/setup lint; cargo fmt --all

lint: ## formatting and clippy, warnings as errors; benchmarks, chaos, fuzzing and the simulator too
	@$(WITH_ENV); .ci/setup lint; cargo fmt --all -- --check
	@$(WITH_ENV); cargo clippy $(CARGO_FLAGS) --all-targets -- -D warnings
	@$(WITH_ENV); cargo clippy $(CARGO_FLAGS) -p tributary-bench -p tributary-chaos -p tributary-fuzz --all-targets -- -D warnings
	@$(WITH_ENV); $(SIM) clippy $(CARGO_FLAGS) -p tributary-sim --all-targets -- -D warnings
