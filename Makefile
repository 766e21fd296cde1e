.PHONY: run test lint bench scaling sim storm

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
