//! `check-config`: would `serve` start, and what would it do?
//!
//! Must not call anybody.

use std::process::ExitCode;

use super::paint::Paint;
use crate::config::{self, Loaded, Sources};

pub(super) fn run(sources: &Sources) -> ExitCode {
    let loaded = match config::load(sources) {
        Ok(loaded) => loaded,
        Err(invalid) => return super::tell(&invalid),
    };
    super::say(&summary(&loaded, Paint::stdout()));
    ExitCode::SUCCESS
}

fn summary(loaded: &Loaded, paint: Paint) -> String {
    let mut lines = vec![paint.good("The configuration is valid.")];
    lines.extend(loaded.findings.warnings.iter().map(|warning| format!("{} {warning}", paint.bad("warning:"))));
    let config = &loaded.config;
    lines.push(format!("\n{} {}, admin {}", paint.strong("listen"), config.server.listen, config.admin.listen));
    for (name, provider) in &config.providers {
        lines.push(format!("{} {name} ({})", paint.strong("provider"), provider.kind()));
    }
    for org in &config.orgs {
        let budget = crate::settings::show(org.budget);
        lines.push(format!("{} {} at {}, budget {budget}", paint.strong("org"), org.name, org.path));
        lines.extend(org.router.describe().iter().map(|route| format!("  {} {route}", paint.faint("route"))));
    }
    lines.join("\n") + "\n"
}
