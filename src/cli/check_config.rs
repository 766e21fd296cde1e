//! `check-config`: would `serve` start, and what would it do?
//!
//! Must not call anybody.

use std::process::ExitCode;

use super::paint::Paint;
use crate::config::{self, Sources};

pub(super) fn run(sources: &Sources) -> ExitCode {
    let loaded = match config::load(sources) {
        Ok(loaded) => loaded,
        Err(invalid) => return super::tell(&invalid),
    };
    let paint = Paint::stdout();
    println!("{}", paint.good("The configuration is valid."));
    for warning in &loaded.findings.warnings {
        println!("{} {warning}", paint.bad("warning:"));
    }
    let config = &loaded.config;
    println!("\n{} {}, admin {}", paint.strong("listen"), config.server.listen, config.admin.listen);
    for (name, provider) in &config.providers {
        println!("{} {name} ({})", paint.strong("provider"), provider.kind());
    }
    for org in &config.orgs {
        println!("{} {} at {}, budget {}", paint.strong("org"), org.name, org.path, crate::settings::show(org.budget));
        for route in org.router.describe() {
            println!("  {} {route}", paint.faint("route"));
        }
    }
    ExitCode::SUCCESS
}
