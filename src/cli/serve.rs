//! `serve`: runs the server until it is told to stop.
//!
//! Must not know what it serves.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZero;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Ended;
use crate::app::{App, Reloader, StartFault, Stop};
use crate::config::{self, Loaded, Sources};
use crate::http::tls::Certificates;
use crate::okta::preview::Preview;
use crate::otp::Channel;
use crate::provider::sandbox::Script;
use crate::secret::Secret;
use crate::telemetry::{self, Flush};

#[derive(Debug, Default, PartialEq, Eq, Args)]
pub(super) struct ServeArguments {
    /// Send nothing: built-in provider, generated secret, on 127.0.0.1. Needs no account and no configuration
    #[arg(long)]
    sandbox: bool,
}

impl ServeArguments {
    /// Both together: some stand before the command, some behind it.
    pub(super) fn and(&self, other: &Self) -> Self {
        Self { sandbox: self.sandbox || other.sandbox }
    }
}

pub(super) fn run(mut sources: Sources, arguments: &ServeArguments) -> Ended {
    let secret = arguments.sandbox.then(Secret::generate).transpose().map_err(super::fail)?;
    sources.sandbox_secret.clone_from(&secret);
    let loaded = super::load(&sources)?;
    let runtime = runtime().map_err(super::fail)?;
    runtime.block_on(serve(sources, loaded, secret)).map_err(super::fail)?;
    Ok(ExitCode::SUCCESS)
}

/// A thread for each core. With one core there is nobody to share work with, and a hook costs less without the means to.
fn runtime() -> io::Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut builder = if cores == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.enable_all().build()
}

async fn serve(sources: Sources, loaded: Loaded, sandbox: Option<Secret>) -> Result<(), ServeFault> {
    let Loaded { mut config, findings } = loaded;
    let log = Arc::new(telemetry::start(&config.log, io::IsTerminal::is_terminal(&io::stderr()))?);
    for warning in &findings.warnings {
        tracing::warn!(key = warning.key, "{}", warning.rule);
    }
    super::harden::no_core_dumps();
    config.server.max_connections = super::harden::connections(config.server.max_connections);
    if sandbox.is_some() {
        // Whoever knows the printed secret may call; nobody beyond this machine shall even try.
        config.server.listen = loopback(config.server.listen);
        config.admin.listen = loopback(config.admin.listen);
    }
    let signals = Signals::new()?;
    // A sandbox belongs to a terminal and goes with it, as SIGHUP would have it.
    let hangup = if sandbox.is_none() { Some(signal(SignalKind::hangup())?) } else { None };
    let path = config.orgs.first().map(|org| org.path.clone()).unwrap_or_default();
    let scheme = config.server.scheme();
    let app = App::start(config).await?;
    log.count_in(app.metrics());
    let (public, admin) = app.addresses()?;
    tracing::info!(%public, %admin, scheme, version = env!("CARGO_PKG_VERSION"), "listening");
    if let Some(hangup) = hangup {
        tokio::spawn(reload_on(hangup, sources, app.reloader(), app.certificates()));
    }
    if let Some(secret) = sandbox {
        introduce(&mut io::stdout(), &format!("{scheme}://{public}{path}"), admin, &secret)?;
    }
    app.run(signals.stop(Arc::clone(&log))).await;
    Ok(())
}

/// Why the server did not run.
#[derive(Debug, thiserror::Error)]
enum ServeFault {
    #[error(transparent)]
    Start(#[from] StartFault),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// SIGTERM and SIGINT, caught from before the server listens.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The first signal asks for an orderly stop; a second one ends the process at once.
    async fn stop(mut self, log: Arc<Flush>) -> Stop {
        let stop = tokio::select! {
            _ = self.terminate.recv() => Stop::Announced,
            _ = self.interrupt.recv() => Stop::Immediate,
        };
        tokio::spawn(async move {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
            tracing::warn!("second signal: stopping at once");
            // An exit drops nothing, and the line has only been put where a thread takes it from.
            log.end();
            std::process::exit(1);
        });
        stop
    }
}

/// Reads configuration and certificate again whenever SIGHUP asks for it.
async fn reload_on(mut hangup: Signal, sources: Sources, reloader: Reloader, certificates: Option<Arc<Certificates>>) {
    while hangup.recv().await.is_some() {
        if let Some(certificates) = &certificates {
            certificates.reload().await;
        }
        let sources = sources.clone();
        // Files may lie on a slow disk: no hook waits for it.
        if let Ok(loaded) = tokio::task::spawn_blocking(move || config::load(&sources)).await {
            reloader.reload(loaded).await;
        }
    }
}

fn loopback(address: SocketAddr) -> SocketAddr {
    if address.ip().is_loopback() { address } else { SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port()) }
}

/// Tells a newcomer what runs, and how to call it.
fn introduce(out: &mut impl io::Write, url: &str, admin: SocketAddr, secret: &Secret) -> io::Result<()> {
    let preview = Preview {
        to: "+15005550006".to_owned(),
        channel: Channel::Sms,
        locale: "en-US".to_owned(),
        request_type: "mfa-verification".to_owned(),
        otp: "123456".to_owned(),
        event_id: "sandbox-1".to_owned(),
        at: Timestamp::now(),
    };
    writeln!(out, "The sandbox listens on {url} (what happens: http://{admin}/).")?;
    writeln!(out, "It sends nothing. Play Okta's part:\n")?;
    // Whatever name a certificate is for, it is not for this address.
    let curl = if url.starts_with("https:") { "curl -sSk" } else { "curl -sS" };
    write!(out, "{curl} {url} -H 'authorization: {}' ", secret.expose())?;
    writeln!(out, "-H 'content-type: application/json' -d '{}'\n", preview.body())?;
    writeln!(out, "Other last digits of phoneNumber, other answers:")?;
    for (suffix, script) in Script::TABLE {
        writeln!(out, "  …{suffix}  {}", script.describe())?;
    }
    out.flush()
}
