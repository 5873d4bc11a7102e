# Every command of the project. `make help` lists them.
#
# Each target installs the tools it needs under .tools/, with tools/install; builds go to target/. A machine needs git,
# make, a C compiler, Rust by rustup, Python 3 with venv, Node.js and curl.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# Each step already uses all cores.
.NOTPARALLEL:

include tools/versions

# The Envoy of the tests and the demo; ENVOY_BIN=/path/to/envoy selects another.
ENVOY_BIN ?= $(CURDIR)/.tools/envoy-$(ENVOY_VERSION)/envoy
export ENVOY_BIN ENVOY_VERSION
# The paths of build results are part of the interface, whatever the user's settings.
export CARGO_TARGET_DIR := $(CURDIR)/target

MODULE := target/portcullis.wasm
NATIVE_MODULE := target/libportcullis.so
# 512 KB: a module of this size compiles quickly in every worker. `make check` and CI enforce it; other builds allow twice
# as much, so that a module can be tried before it shrinks.
MODULE_SIZE_LIMIT := 524288
SIZE_LIMIT = $(if $(CI)$(CHECK_SIZE),$(MODULE_SIZE_LIMIT),$$((2 * $(MODULE_SIZE_LIMIT))))
# In CI an outdated Cargo.lock is an error; elsewhere Cargo updates it.
LOCKED := $(if $(CI),--locked)
# This machine, as targets of Rust call it.
MACHINE := $(subst arm64,aarch64,$(shell uname -m))
# The registry in the names of images: `make images` and `make release` give it to theirs, and the examples of a release
# name it.
PORTCULLIS_REGISTRY ?= registry.example.com
export PORTCULLIS_REGISTRY
# More flags for wasm-opt; --debuginfo keeps function names in the module, for profilers.
WASM_OPT_FLAGS ?=
# BENCH_FLAGS=--quick runs every benchmark once; benches/envoy/bench.py --help lists the rest.
BENCH_FLAGS ?=

# Crates for wasm only.
WASM_CRATES := portcullis-wasm empty-filter
NOT_WASM_CRATES := $(addprefix --exclude ,$(WASM_CRATES))
# The root package's integration tests; some of them belong to layers of their own.
ROOT_TESTS := $(basename $(notdir $(wildcard tests/*.rs))) $(patsubst tests/%/main.rs,%,$(wildcard tests/*/main.rs))
CORE_TESTS := $(filter-out lifecycle e2e readme feeds fleet faults spellings deploy false_blocks,$(ROOT_TESTS))

.PHONY: help
help: ## lists these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: demo-tools module simulator ## shows all of it with a real Envoy: allowed, attack, listed, blocked, unblocked
	examples/demo/demo.sh

.PHONY: run
run: demo-tools module simulator ## like demo, but keeps everything running and prints the addresses
	examples/demo/demo.sh run

.PHONY: demo-crowdsec
demo-crowdsec: module simulator ## a real CrowdSec LAPI and a real Envoy: banned clients are blocked
	@tools/install curl envoy crowdsec
	examples/crowdsec/demo.sh

.PHONY: demo-fleet
demo-fleet: demo-tools build simulator ## one server and three real Envoys: one command, one list and one outage for all of them
	examples/fleet/demo.sh

# Reports missing programs before minutes of building.
.PHONY: demo-tools
demo-tools:
	@tools/install curl rust-targets wasm-opt envoy

.PHONY: build
build: module native cli ## the shippable modules at target/portcullis.wasm and target/libportcullis.so, the CLI at target/release/portcullis

.PHONY: module
module trap-module: export CARGO_TARGET_WASM32_WASIP1_LINKER := $(CURDIR)/wasm-target/linker
# Panics name files of libraries: by their path in the registry, not on this machine.
# Little inlining, also of functions with a hint: the module is a fifth smaller, and a request takes as long as with LLVM's
# default.
module trap-module: export CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS := --remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)/registry/src/= \
	-Cllvm-args=-inline-threshold=5 -Cllvm-args=-inlinehint-threshold=90
module: ## only the shippable module
	@tools/install rust-targets wasm-opt
	cargo build $(LOCKED) --profile wasm --target wasm32-wasip1 -p portcullis-wasm
	wasm-target/link target/wasm32-wasip1/wasm/portcullis_wasm.wasm $(MODULE) $(SIZE_LIMIT) $(WASM_OPT_FLAGS)

.PHONY: native
native: ## only the native module, at target/libportcullis.so
	@tools/install zig
	native/build $(NATIVE_MODULE) $(LOCKED)
	native/check $(NATIVE_MODULE)

.PHONY: test-native-sanitizers
test-native-sanitizers: ## the hooks of the native module under the address and thread sanitizers
	native/sanitize

.PHONY: trap-native
trap-native: ## for tests only: the native module with panics on command, at target/libportcullis-trap.so
	@tools/install zig
	CARGO_TARGET_DIR=target/trap native/build target/libportcullis-trap.so $(LOCKED) --features trap

.PHONY: native-reproducible
native-reproducible: native ## the native module built in another directory has the same bytes
	native/reproducible $(NATIVE_MODULE)

.PHONY: trap-module
trap-module: ## for tests only: the module with crashes on command, at target/portcullis-trap.wasm
	@tools/install rust-targets wasm-opt
	cargo build $(LOCKED) --profile wasm --target wasm32-wasip1 -p portcullis-wasm --features trap \
		--target-dir target/trap
	wasm-target/link target/trap/wasm32-wasip1/wasm/portcullis_wasm.wasm target/portcullis-trap.wasm $$((2 * $(MODULE_SIZE_LIMIT)))

.PHONY: cli
cli: ## only the command line tool
	cargo build $(LOCKED) --release -p portcullis-cli

.PHONY: simulator
simulator: ## the ABS simulator and the sample API, at target/release/
	cargo build $(LOCKED) --release -p abs-simulator

.PHONY: test
test: test-core test-wasm test-module test-lifecycle test-cli test-envoy test-faults test-spellings test-deploy test-feeds test-fleet test-native ## every test layer, set-up too
	@echo "test: every layer passed; none was skipped"

.PHONY: test-core
test-core: ## the core and the simulator on this machine
	cargo test $(LOCKED) --lib
	cargo test $(LOCKED) --doc
	$(if $(CORE_TESTS),cargo test $(LOCKED) $(addprefix --test ,$(CORE_TESTS)))
	cargo test $(LOCKED) --workspace --exclude portcullis --exclude portcullis-cli --exclude portcullis-wasm-host $(NOT_WASM_CRATES)
	cargo test $(LOCKED) --release --test false_blocks

.PHONY: test-wasm
test-wasm: ## the core's unit tests in wasm under Node.js
	@tools/install rust-targets wasm-bindgen
	tools/test-wasm

.PHONY: test-module
test-module: module ## the shipped module in a test host: the scenarios of test-lifecycle, wrong results of hostcalls, secrets, cost, memory; the link step
	cargo test $(LOCKED) --profile wasm-host -p portcullis-wasm-host

.PHONY: test-lifecycle
test-lifecycle: ## several workers over one fake host, hostile interleavings
	cargo test $(LOCKED) --test lifecycle

.PHONY: test-cli
test-cli: simulator ## the command line tool, and its server with the page in a real Chromium
	@tools/install prometheus chromium
	cargo test $(LOCKED) -p portcullis-cli

.PHONY: test-envoy
test-envoy: build simulator ## the module in a real Envoy, against the simulator
	@tools/install envoy
	cargo test $(LOCKED) --test e2e --test readme

.PHONY: test-faults
test-faults: module trap-module simulator ## every fault of tests/faults/matrix.md under traffic, and a minute of everything at once
	@tools/install envoy
	cargo test $(LOCKED) --test faults

.PHONY: test-spellings
test-spellings: module simulator ## real servers and the filter read the same requests: no spelling of a listed client passes
	@tools/install envoy spelling-servers
	cargo test $(LOCKED) --test spellings -- --skip fuzz

.PHONY: test-feeds
test-feeds: module simulator ## list servers: feeds in a real Envoy, with a real CrowdSec LAPI; the simulator against that LAPI
	@tools/install envoy crowdsec
	cargo test $(LOCKED) --test feeds -- --show-output

.PHONY: test-fleet
test-fleet: build simulator ## `portcullis serve` with real Envoys, and its page in a real Chromium
	@tools/install envoy chromium
	cargo test $(LOCKED) --test fleet

.PHONY: test-native
test-native: build trap-native simulator ## the native module instead of the wasm one: the same tests as of test-envoy, test-faults, test-feeds and test-fleet
	@tools/install envoy crowdsec chromium
	PORTCULLIS_ARTEFACT=native cargo test $(LOCKED) --test e2e --test faults --test feeds --test fleet

.PHONY: test-native-envoy
test-native-envoy: build simulator ## only the tests of test-envoy with the native module
	@tools/install envoy
	PORTCULLIS_ARTEFACT=native cargo test $(LOCKED) --test e2e

.PHONY: screenshot
screenshot: ## the page of `portcullis serve`, at docs/images/fleet.png
	@tools/install chromium
	PORTCULLIS_SCREENSHOT=docs/images/fleet.png cargo test $(LOCKED) -p portcullis-cli --test serve a_screenshot

.PHONY: soak
soak: module native simulator ## ten minutes of traffic, changes and faults, and ten of the fuzzer of tests/spellings
	@tools/install envoy spelling-servers
	PORTCULLIS_SOAK_SECONDS=$(or $(SOAK_SECONDS),600) cargo test $(LOCKED) --test faults soak -- --nocapture
	PORTCULLIS_SOAK_SECONDS=$(or $(SOAK_SECONDS),600) cargo test $(LOCKED) --test spellings fuzz -- --nocapture

.PHONY: test-deploy
test-deploy: build simulator ## the deployment examples and the Helm chart, with a real Envoy, kustomize, Helm and Prometheus
	@tools/install envoy prometheus python kustomize helm schemas
	cargo test $(LOCKED) --test deploy

.PHONY: images
images: module native ## the images of the modules, the installer, the server and the examples' programs, and the bill of materials of the wasm module
	@tools/install zig musl-target
	wasm-target/image/sbom
	release/programs $(MACHINE) target/images $(LOCKED)
	cp $(MODULE) $(NATIVE_MODULE) target/images/
	release/images target target/images

.PHONY: release
release: module ## dist/, the files of a release for x86_64 and aarch64: release/README.md lists them
	@tools/install zig release-targets
	release/build target/release-files $(LOCKED)
	release/assemble dist target/release-files
	release/check dist

.PHONY: release-reproducible
release-reproducible: release ## the release built in another directory has the same bytes
	release/reproducible dist

.PHONY: compose-test
compose-test: images cli ## the docker-compose, crowdsec and fleet examples and the module's image on a real Docker engine
	@tools/install envoy prometheus crowdsec
	tools/docker-engine wasm-target/image/test
	tools/docker-engine examples/docker-compose/test
	tools/docker-engine examples/docker-compose/test crowdsec
	tools/docker-engine examples/docker-compose/test fleet

.PHONY: bench
bench: module native simulator ## the benchmarks of both artefacts: a table with ratios measured in one run
	@tools/install envoy wrk oha
	cargo build $(LOCKED) --release --target wasm32-wasip1 -p empty-filter
	benches/envoy/bench.py $(BENCH_FLAGS)

.PHONY: bench-fleet
bench-fleet: cli simulator ## the load of 10,000 simulated nodes on the server; BENCH_FLAGS=--quick for a smoke run
	@tools/install envoy
	cargo build $(LOCKED) --release -p fleet-nodes
	benches/fleet/fleet.py $(BENCH_FLAGS)

.PHONY: check
check: ## format, clippy, docs, Envoy files, workflows, licences, sources and advisories of dependencies
	@tools/install rust-targets envoy cargo-deny workflow-linters
	cargo fmt --all --check
	cargo clippy $(LOCKED) --workspace $(NOT_WASM_CRATES) --all-targets --all-features -- -D warnings
	cargo clippy $(LOCKED) --target wasm32-wasip1 $(addprefix -p ,$(WASM_CRATES)) -- -D warnings
	cargo clippy $(LOCKED) --target wasm32-wasip1 -p portcullis-wasm --features trap -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc $(LOCKED) --workspace $(NOT_WASM_CRATES) --all-features --no-deps
	RUSTDOCFLAGS="-D warnings" cargo doc $(LOCKED) --target wasm32-wasip1 -p portcullis-wasm --no-deps
	for script in $$(git grep -lI '^#!.*bash$$'); do bash -n "$$script"; done
	$(MAKE) --no-print-directory module native CHECK_SIZE=yes
	tools/validate-envoy
	tools/check-dependencies
	tools/lint-workflows

.PHONY: clean
clean: ## removes builds; .tools/ stays
	rm -rf target dist
