//! `doctor`: is all that the server needs there and well? Live, and read-only.
//!
//! Must not send a message, change anything anywhere, or show a secret.

mod hosts;
mod learned;
mod table;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use tokio::time::timeout;
use url::Url;

use super::Ended;
use super::paint::Paint;
use crate::app::Hooks;
use crate::config::{self, Config, Loaded, Sources};
use crate::deadline::Clock;
use crate::hook;
use crate::http::tls::{Certificates, SOON};
use crate::metrics::CertificateMetrics;
use crate::okta::factors::{Factors, FactorsFault};
use crate::okta::jwks;
use crate::outbound::{Answer, Outbound};
use crate::provider::{Check, Diagnosis};
use crate::settings::show;
use table::Table;

/// A person waits for this answer, and no hook does.
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct DoctorArguments {
    /// Print JSON, for scripts
    #[arg(long)]
    json: bool,
}

pub(super) fn run(sources: &Sources, arguments: &DoctorArguments) -> Ended {
    let mut table = Table::default();
    match config::load(sources) {
        Ok(loaded) => super::small_runtime()?.block_on(examine(&loaded, &mut table)),
        Err(invalid) => {
            for fault in invalid.0.faults {
                table.add("configuration", Check::new(fault.key, Diagnosis::Fail(fault.rule)));
            }
        }
    }
    super::say(&if arguments.json { table.json() } else { table.lines(Paint::stdout()) });
    Ok(if table.fails() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn examine(loaded: &Loaded, table: &mut Table) {
    if loaded.findings.warnings.is_empty() {
        table.add("configuration", Check::new("settings", Diagnosis::Ok("valid".to_owned())));
    }
    for warning in &loaded.findings.warnings {
        table.add("configuration", Check::new(&warning.key, Diagnosis::Warn(warning.rule.clone())));
    }
    let config = &loaded.config;
    if let Some(check) = certificate(config) {
        table.add("certificate", check);
    }
    let hooks = match Hooks::build(config) {
        Ok(hooks) => hooks,
        Err(e) => return table.add("configuration", Check::new("start", Diagnosis::Fail(e.to_string()))),
    };
    providers(&hooks, table).await;
    for org in &config.orgs {
        okta(org, &hooks.outbound, table).await;
    }
    table.add("state", store(&hooks, config.state.timeout).await);
    if let Some(url) = &config.server.public_url {
        table.add("public_url", public(&hooks.outbound, url).await);
    }
    learned::learned(config, table);
}

async fn okta(org: &hook::Config, outbound: &Outbound, table: &mut Table) {
    let subject = format!("org {}", org.name);
    if let Some(issuer) = org.authenticate.issuer() {
        let diagnosis = match jwks::count(issuer.source(), outbound).await {
            Ok(keys) => Diagnosis::Ok(format!("{keys} usable")),
            Err(fault) => Diagnosis::Fail(fault.to_string()),
        };
        table.add(&*subject, Check::new("JWKS", diagnosis));
    }
    if let Some(config) = &org.okta {
        let diagnosis = match Factors::new(config.clone(), outbound.clone()).check().await {
            Ok(()) => Diagnosis::Ok("factors can be read".to_owned()),
            Err(fault @ FactorsFault::Paced(_)) => Diagnosis::Warn(fault.to_string()),
            Err(fault) => Diagnosis::Fail(fault.to_string()),
        };
        table.add(&*subject, Check::new("API token", diagnosis));
    }
}

async fn providers(hooks: &Hooks, table: &mut Table) {
    for (name, provider) in &hooks.providers {
        let subject = format!("provider {name}");
        let checks = provider.check().await;
        for check in hosts::checks(&provider.addresses(), &checks, &hooks.outbound).await.into_iter().chain(checks) {
            table.add(&*subject, check);
        }
    }
}

/// A look at an address, without credentials.
async fn read(outbound: &Outbound, url: Url) -> Result<Answer, String> {
    match timeout(TIMEOUT, outbound.read(url, None)).await {
        Ok(answer) => answer.map_err(|e| e.code),
        Err(_) => Err("timeout".to_owned()),
    }
}

/// The certificate Okta sees. That it can be read and fits its key, the configuration's check has found already.
fn certificate(config: &Config) -> Option<Check> {
    let settings = config.server.tls.clone()?;
    let diagnosis = match Certificates::load(settings, Clock::SYSTEM, CertificateMetrics::default()) {
        Ok(certificates) => {
            let days = certificates.expires().duration_since(Timestamp::now()).as_hours().div_euclid(24);
            match days {
                days if days < 0 => Diagnosis::Fail("has expired: Okta cannot connect".to_owned()),
                days if days < SOON.as_hours() / 24 => Diagnosis::Warn(format!("{days} days left")),
                days => Diagnosis::Ok(format!("{days} days left")),
            }
        }
        Err(fault) => Diagnosis::Fail(fault.to_string()),
    };
    Some(Check::new("server.tls", diagnosis))
}

async fn store(hooks: &Hooks, allowed: Duration) -> Check {
    let diagnosis = match hooks.shared.state.probe().await {
        None => Diagnosis::Ok("in memory: not shared with replicas".to_owned()),
        Some(Ok(took)) if took <= allowed => Diagnosis::Ok(format!("answers in {} ms", took.as_millis())),
        Some(Ok(took)) => {
            Diagnosis::Warn(format!("answers in {} ms, later than state.timeout ({})", took.as_millis(), show(allowed)))
        }
        Some(Err(fault)) => Diagnosis::Fail(fault.to_string()),
    };
    Check::new("store", diagnosis)
}

/// Okta may come through where we do not: not to be reached from here is no proof.
async fn public(outbound: &Outbound, url: &Url) -> Check {
    let mut livez = url.clone();
    livez.set_path(&format!("{}/livez", url.path().trim_end_matches('/')));
    let diagnosis = match read(outbound, livez).await {
        Ok(answer) if answer.status == 200 => Diagnosis::Ok("reachable, with a trusted certificate".to_owned()),
        Ok(answer) => Diagnosis::Warn(format!("answers HTTP {} to GET /livez", answer.status)),
        Err(cause) if cause == "tls" => Diagnosis::Warn("its certificate is not trusted from here".to_owned()),
        Err(cause) => Diagnosis::Warn(format!("not reachable from here ({cause})")),
    };
    Check::new("livez", diagnosis)
}
