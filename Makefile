.PHONY: run test lint bench sim storm

run:
	cargo run --release -- serve --sandbox

test:
	cargo test --locked

lint:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked

bench:
	cargo bench

sim:
	cargo test --locked --release --test sim -- --nocapture

storm:
	STORM_EVENTS=100000 cargo test --locked --release --test it storm -- --nocapture
