//! How CPU per hook and memory grow with connections, orgs, routes, hooks in flight and remembered events.
//!
//!     cargo bench --bench scaling                                  # everything, below ten minutes
//!     cargo bench --bench scaling -- small                         # a tenth of it, below two
//!     cargo bench --bench scaling -- --server target/release/okta-telephony-hook
//!
//! Starts the real server for each row, with a provider of its own on loopback, and prints one Markdown table. Without
//! `--server` it is the binary that cargo builds beside a bench, which differs from the release in what the tests add
//! to tokio. Must not judge: a figure means something beside another of the same run.

#![expect(unreachable_pub, reason = "a program of its own: nobody outside reaches anything")]

mod load;
mod provider;
mod server;

use std::path::PathBuf;
use std::time::Duration;

use load::Load;
use provider::Stub;
use rustix::process::{Resource, getrlimit, setrlimit};
use server::{Server, Shape};

/// What is asked for on the command line.
struct Arguments {
    server: PathBuf,
    is_small: bool,
}

/// One row: what differs from the base, and how it is loaded.
struct Row {
    what: &'static str,
    value: usize,
    shape: Shape,
    /// Hooks before the measured ones, to fill the memory.
    fill: usize,
    hooks: usize,
    connections: usize,
    delay: Duration,
}

fn main() {
    let arguments = arguments();
    raise_open_files();
    // One thread: the server keeps the other core.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    println!("| what grows | to | hooks | CPU µs per hook | RSS idle MiB | RSS after MiB | peak MiB |");
    println!("|---|---|---|---|---|---|---|");
    for row in rows(arguments.is_small) {
        runtime.block_on(measure(&arguments.server, row));
    }
}

fn arguments() -> Arguments {
    let mut found = Arguments { server: PathBuf::from(env!("CARGO_BIN_EXE_okta-telephony-hook")), is_small: false };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "small" => found.is_small = true,
            "--server" => found.server = arguments.next().expect("--server names a binary").into(),
            // From cargo.
            "--bench" => {}
            other => panic!("{other}: neither small nor --server"),
        }
    }
    found
}

/// Five thousand hooks in flight are ten thousand sockets here, at both ends of the server.
fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}

fn rows(is_small: bool) -> Vec<Row> {
    let hooks = if is_small { 2_000 } else { 20_000 };
    let base = |what, value| Row {
        what,
        value,
        shape: Shape::default(),
        // The first hooks of a process pay for its pages and its pools.
        fill: hooks / 4,
        hooks,
        connections: 32,
        delay: Duration::ZERO,
    };
    let mut rows = Vec::new();
    rows.extend([1, 32, 256].map(|n| Row { connections: n, ..base("connections", n) }));
    rows.extend([1, 100, 1000].map(|n| Row { shape: Shape { orgs: n, ..Shape::default() }, ..base("orgs", n) }));
    rows.extend([1, 100].map(|n| Row { shape: Shape { routes: n, ..Shape::default() }, ..base("routes", n) }));
    rows.extend([10, 1000, 5000].map(|n| Row {
        // Long enough that all of them are in flight at once, short enough for the budget.
        delay: Duration::from_secs(1),
        connections: n,
        fill: n,
        hooks: if is_small { n } else { n * 5 },
        ..base("hooks in flight", n)
    }));
    let most = if is_small { 100_000 } else { 1_000_000 };
    rows.extend([1_000, 10_000, 100_000, 1_000_000].into_iter().filter(|n| *n <= most).map(|n| Row {
        // Two entries an event: see docs/scaling.md.
        shape: Shape { max_entries: 2 * n, ..Shape::default() },
        fill: n,
        ..base("remembered events", n)
    }));
    rows
}

async fn measure(binary: &std::path::Path, row: Row) {
    let stub = Stub::start(row.delay).await;
    let server = Server::start(binary, &row.shape, stub.address).await;
    let mut load = Load::new(server.address, row.shape.orgs);
    let idle = server.memory();
    let connections = load.connect(row.connections).await;
    let connections = load.send(connections, row.fill).await;
    let before = server.cpu();
    let connections = load.send(connections, row.hooks).await;
    let cpu = server.cpu() - before;
    let after = server.memory();
    drop(connections);
    assert_eq!(stub.asked(), load.sent, "every hook is one call of the provider");
    println!(
        "| {} | {} | {} | {:.1} | {:.1} | {:.1} | {:.1} |",
        row.what,
        row.value,
        row.hooks,
        cpu.as_secs_f64() * 1e6 / row.hooks as f64,
        idle.resident_mib,
        after.resident_mib,
        after.peak_mib
    );
}
