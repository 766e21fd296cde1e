//! The binary: nothing but the allocator and the way into `cli`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    okta_telephony_hook::cli::run()
}
