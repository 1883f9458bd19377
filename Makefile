# The two commands that a newcomer needs are `make run` and `make test`. Both install what they
# miss; a second run installs nothing.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Compiled code goes where cargo is told to put it; CI shares a folder between runs.
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
DATA ?= data
SAMPLE_DIR ?= $(TARGET_DIR)/sample
MEDIA_DIR ?= $(TARGET_DIR)/test-media
PYTHON_DIR ?= $(TARGET_DIR)/python

BUILD_PACKAGES := ca-certificates gcc libc6-dev nodejs/node npm/npm
SAMPLE_PACKAGES := ffmpeg/ffmpeg python3/python3 python3-pip
TEST_PACKAGES := $(SAMPLE_PACKAGES) postgresql python3-venv chromium fonts-dejavu-core libxml2-utils curl \
	pebble/pebble
BENCH_PACKAGES := nginx-light ffmpeg/ffmpeg util-linux/taskset
BENCH_PEER_PACKAGES := varnish/varnishd caddy/caddy
SOAK_PACKAGES := clang

.PHONY: help run test soak bench lint fmt build web rust clean

help: ## Show what can be made
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

run: build ## Start the server with a sample title and print the address that plays it
	@scripts/need.sh "make run" $(SAMPLE_PACKAGES)
	@scripts/sample-title.sh $(SAMPLE_DIR)
	@scripts/run.sh $(TARGET_DIR)/release/streamverse $(DATA) $(SAMPLE_DIR)

build: rust web ## Build the release binary
	cargo build --release --locked

rust:
	@scripts/need-rust.sh

web: web/dist/index.json ## Bundle the player page

web/dist/index.json: $(shell find web -path web/node_modules -prune -o -path web/dist -prune -o -type f -print)
	@scripts/need.sh "the player page" $(BUILD_PACKAGES)
	cd web && npm ci --no-audit --no-fund --loglevel=error && node build.mjs

test: rust web ## Run every test at CI size
	@scripts/need.sh "make test" $(BUILD_PACKAGES) $(TEST_PACKAGES)
	scripts/test.sh $(MEDIA_DIR) $(PYTHON_DIR)

soak: rust web ## Run every test at full counts, with long fuzzing
	@scripts/need.sh "make soak" $(BUILD_PACKAGES) $(TEST_PACKAGES) $(SOAK_PACKAGES)
	PROPTEST_CASES=20000 STREAMVERSE_SOAK=1 scripts/test.sh $(MEDIA_DIR) $(PYTHON_DIR)
	scripts/fuzz.sh 600
	command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	cargo deny check bans licenses sources

bench: rust web ## Measure every row beside its peer and print one table (STRICT=1: fail on a miss)
	@scripts/need.sh "make bench" $(BENCH_PACKAGES)
	@scripts/need.sh "make bench, beside these peers," $(BENCH_PEER_PACKAGES) \
		|| echo "make bench: going on without them; their rows are left out" >&2
	cargo build --release --locked -p streamverse -p bench --bins
	$(TARGET_DIR)/release/table $(TARGET_DIR)

lint: rust ## What CI checks of style
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	scripts/tidy.sh
	@command -v cargo-deny >/dev/null || echo "cargo-deny is not installed: dependencies are not judged"
	! command -v cargo-deny >/dev/null || cargo deny --locked check bans licenses sources

fmt: ## Format the code
	cargo fmt --all

clean: ## Remove what was built, and the sample's data directory
	cargo clean
	rm -rf web/dist web/node_modules tests/players/node_modules
