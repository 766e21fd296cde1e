//! What each step of a hook costs: time, and what it allocates. In memory, without a socket.
//!
//! Run with `cargo bench --bench steps`, or `… -- guard` for one step. A module is a step of `src/hook.rs` and has its
//! name. Must not measure the making of its inputs: divan counts neither their time nor their allocations.

#![expect(unreachable_pub, reason = "a program of its own: nobody outside reaches anything")]

mod authenticate;
mod decode;
mod dedupe;
mod dispatch;
mod ground;
mod guard;
mod hook;
mod journal;
mod plan;
mod provider;
mod reply;

#[expect(dead_code, reason = "the tests' own, which use the rest of it")]
#[path = "../../tests/it/support/jwt.rs"]
mod jwt;

#[expect(dead_code, reason = "the tests' own, which use the rest of it")]
#[path = "../../tests/it/support/issuer.rs"]
mod issuer;

use std::process::{Command, ExitCode, Stdio};

/// Counts what the benched code allocates, on its own thread.
#[global_allocator]
static ALLOCATOR: divan::AllocProfiler = divan::AllocProfiler::system();

/// Most benches make one call a sample, since each needs an input of its own.
const SAMPLES: u32 = 2_000;

/// Set in the process that measures.
const WITHOUT_LOG: &str = "HOOK_BENCH_WITHOUT_LOG";

/// Measures in a process whose log goes nowhere: the whole hook writes its line as it does in production, to standard
/// error, and nobody wants to read a hundred thousand of them.
fn main() -> ExitCode {
    if std::env::var_os(WITHOUT_LOG).is_some() {
        // Beyond the first growth of every map. The command line may ask for another count.
        divan::Divan::default().sample_count(SAMPLES).config_with_args().main();
        return ExitCode::SUCCESS;
    }
    let measures = std::env::current_exe().and_then(|itself| {
        Command::new(itself).args(std::env::args_os().skip(1)).env(WITHOUT_LOG, "1").stderr(Stdio::null()).status()
    });
    match measures {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        _ => {
            eprintln!("a bench failed; set {WITHOUT_LOG}=1 to see why");
            ExitCode::FAILURE
        }
    }
}
