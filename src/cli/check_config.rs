//! `check-config`: would `serve` start, and what would it do?
//!
//! Must not call anybody but, with `--live`, the server that runs on this machine.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::paint::Paint;
use super::{Ended, local};
use crate::config::{Loaded, Sources};

#[derive(Debug, Args)]
pub(super) struct CheckConfigArguments {
    /// Also ask the running server whether it is ready and which switches are set
    #[arg(long)]
    live: bool,
}

pub(super) fn run(sources: &Sources, arguments: &CheckConfigArguments) -> Ended {
    let loaded = super::load(sources)?;
    let paint = Paint::stdout();
    super::say(&summary(&loaded, paint));
    if arguments.live {
        let listen = loaded.config.admin.listen;
        let silent = |e| super::fail(format_args!("no answer from the server at {listen}: {e}"));
        super::say(&live(&loaded, paint).map_err(silent)?);
    }
    Ok(ExitCode::SUCCESS)
}

/// What the running server says of itself.
fn live(loaded: &Loaded, paint: Paint) -> std::io::Result<String> {
    let (status, page) = local::get(loaded.config.admin.listen, "/readyz", loaded.config.admin_token.as_ref())?;
    let page: Value = serde_json::from_str(&page)?;
    let obstacles: Vec<_> = page["obstacles"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let ready = match (status, obstacles.is_empty()) {
        (200, _) => paint.good("ready"),
        (_, true) => paint.bad("not ready"),
        (_, false) => format!("{}: {}", paint.bad("not ready"), obstacles.join(", ")),
    };
    let mut lines = vec![format!("\n{} {ready}", paint.strong("server"))];
    for switch in page["switches"].as_array().into_iter().flatten() {
        let word = |key: &str| switch[key].as_str().unwrap_or_default().to_owned();
        let line = format!("{} {} {} {}", paint.bad("switch"), word("scope"), word("name"), word("state"));
        lines.push(line.replace("  ", " "));
    }
    Ok(lines.join("\n") + "\n")
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
