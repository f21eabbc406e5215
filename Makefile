# Each target is one short script; what they share, the cache folder above all, is in scripts/env.sh.
.DEFAULT_GOAL := help
.PHONY: help setup run build model test lint bench soak fuzz docs clean distclean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## build, start the proxy on a real local model, run the example agent through it, leave it running
	@scripts/demo.sh

build: ## build the programs, optimised
	@scripts/build.sh

model: ## get the demo model (98 MB) into the cache folder
	@scripts/model.sh

setup: ## install what the build and the tests need and this machine lacks, and get the demo model
	@scripts/setup.sh test
	@scripts/model.sh
	@scripts/venv.sh

test: ## set up and run every test, beside a private PostgreSQL and a private Redis
	@scripts/test.sh

lint: ## formatting, clippy, and the thin client
	@scripts/lint.sh

bench: ## measure Tollgate beside nginx, HAProxy and itself without a ledger, then its parts; about an hour
	@scripts/bench.sh

soak: ## half an hour of load on a server: memory must not grow, no call may fail
	@scripts/soak.sh

fuzz: ## feed the codecs bytes that nobody chose, a minute per target; needs nightly Rust and cargo-fuzz
	@scripts/fuzz.sh

docs: ## build the API documentation; warnings are errors
	@. scripts/env.sh && RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps

clean: ## remove this checkout's demo data and the workspace's own build results; the built C++ stays
	@scripts/clean.sh

distclean: ## remove the whole cache folder too: build, C++, model, Python environment
	@scripts/clean.sh all
