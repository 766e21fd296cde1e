.PHONY: run test lint bench scaling sim storm fuzz

run:
	cargo run --release -- serve --sandbox

test:
	cargo test --locked

lint:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked

# The release binary comes last: benches are built with the features that tests add, beside a binary of that kind.
bench:
	cargo bench --locked
	cargo build --release --locked
	benches/side_by_side.sh

# The server is put aside before cargo builds another one beside the bench.
scaling:
	cargo build --release --locked
	cp target/release/okta-telephony-hook target/scaling-server
	cargo bench --locked --bench scaling -- --server $(CURDIR)/target/scaling-server

sim:
	cargo test --locked --release --test sim -- --nocapture

storm:
	STORM_EVENTS=100000 cargo test --locked --release --test it storm -- --nocapture

# Each target for so long; `make fuzz TARGETS=hook SECONDS=600 SANITIZER=none` is the way to look for something.
SECONDS = 60
SANITIZER = address
TARGETS = $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))

fuzz:
	@cargo +nightly --version >/dev/null 2>&1 || \
		{ echo "fuzzing needs a nightly compiler, which is not here: rustup toolchain install nightly"; exit 1; }
	@cargo +nightly fuzz --version >/dev/null 2>&1 || \
		{ echo "fuzzing needs cargo-fuzz, which is not here: cargo install --locked cargo-fuzz"; exit 1; }
	FUZZ_CORPUS=$(CURDIR)/fuzz/corpus cargo test --locked --test fuzz
	set -e; for target in $(TARGETS); do \
		cargo +nightly fuzz run --sanitizer $(SANITIZER) --target-dir fuzz/target/$(SANITIZER) $$target -- \
			-max_total_time=$(SECONDS) -max_len=4096 -timeout=1 -rss_limit_mb=1024 -print_final_stats=1; \
	done
