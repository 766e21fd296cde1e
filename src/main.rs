//! The binary: nothing but the way into `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    okta_telephony_hook::cli::run()
}
