//! `preview`: what happens to one request, shown step by step before Okta's Preview button is pressed.
//!
//! Must not send anything unless told to. Never shows a credential: those of ours and of the providers are masked.

mod call;
mod report;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;
use url::Url;

use super::Ended;
use crate::app::Hooks;
use crate::config::Sources;
use crate::hook::Hook;
use crate::okta::channel_called;
use crate::okta::preview::Preview;
use crate::otp::Channel;
use report::Report;

#[derive(Debug, Args)]
pub(super) struct PreviewArguments {
    /// Number to send to, as Okta would write it
    #[arg(long, default_value = "+15005550006")]
    to: String,
    /// How the code travels: sms or voice, or as Okta calls it
    #[arg(long, value_parser = channel, default_value = "sms")]
    channel: Channel,
    /// Locale of the user
    #[arg(long, default_value = "en-US")]
    locale: String,
    /// Okta's requestType, or its last word
    #[arg(long, default_value = "mfa-verification")]
    request_type: String,
    /// Org whose hook is played; by default the one whose path --url has, else the first one
    #[arg(long)]
    org: Option<String>,
    /// The code
    #[arg(long, default_value = "123456")]
    otp: String,
    /// Really send
    #[arg(long, conflicts_with_all = ["url", "curl"])]
    send: bool,
    /// Send the request to a running server instead: its address, with or without the hook's path
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
    /// Print the curl command that plays the request, to the address of --url if there is one
    #[arg(long)]
    curl: bool,
    /// Machine-readable output
    #[arg(long)]
    json: bool,
}

fn channel(word: &str) -> Result<Channel, &'static str> {
    channel_called(word).ok_or("must be sms, voice, call or voice call")
}

impl PreviewArguments {
    fn preview(&self) -> Preview {
        let at = Timestamp::now();
        Preview {
            to: self.to.clone(),
            channel: self.channel,
            locale: self.locale.clone(),
            request_type: self.request_type.clone(),
            otp: self.otp.clone(),
            // A new id every time: a repeat would be answered without being sent.
            event_id: format!("preview-{}", at.as_millisecond()),
            at,
        }
    }
}

pub(super) fn run(sources: &Sources, arguments: &PreviewArguments) -> Ended {
    let loaded = super::load(sources)?;
    super::small_runtime()?.block_on(async {
        let hooks = Hooks::build(&loaded.config).map_err(super::fail)?;
        let base_path = loaded.config.server.base_path();
        let called = arguments.url.as_ref().and_then(|url| owner(&hooks, url.path(), base_path));
        let hook = find(&hooks, arguments.org.as_deref().or(called.as_deref())).map_err(super::refuse)?;
        let preview = arguments.preview();
        if arguments.curl {
            let address = call::address(&hook, arguments.url.as_ref(), &loaded.config.server);
            let (curl, variable) = call::curl(&hook, &address, &preview);
            // Not between the command and whoever takes it from standard output.
            eprintln!("{variable}");
            super::say(&(curl + "\n"));
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(issuer) = call::token_needed(&hook).filter(|_| arguments.send || arguments.url.is_some()) {
            let rule = format!("cannot send: the hook admits only access tokens of {issuer}; try --curl");
            return Err(super::fail(rule));
        }
        let dry = || Report::dry(&hook, &hooks.providers, &preview);
        let report = match (&arguments.url, arguments.send) {
            (Some(url), _) => {
                call::over_http(&hook, url, &loaded.config.outbound, &preview).await.map_err(super::fail)?
            }
            (None, true) => call::send(&hook, &preview, dry()).await,
            (None, false) => dry(),
        };
        super::say(&if arguments.json { report.json() + "\n" } else { report.text(super::paint::Paint::stdout()) });
        // Detached attempts are seen through: `--send` really sends.
        hooks.shared.tasks.close();
        hooks.shared.tasks.wait().await;
        Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// The org whose hook stands at a path, with or without the path of the public address before it.
fn owner(hooks: &Hooks, path: &str, base_path: &str) -> Option<Arc<str>> {
    let is_at = |hook: &&Arc<Hook>| {
        let own = hook.config().path.as_str();
        path == own || path.strip_prefix(base_path) == Some(own)
    };
    hooks.hooks.iter().find(is_at).map(|hook| Arc::clone(&hook.config().name))
}

fn find(hooks: &Hooks, org: Option<&str>) -> Result<Arc<Hook>, String> {
    let wanted = |hook: &&Arc<Hook>| org.is_none_or(|org| *hook.config().name == *org);
    hooks.hooks.iter().find(wanted).cloned().ok_or_else(|| {
        let names: Vec<&str> = hooks.hooks.iter().map(|hook| &*hook.config().name).collect();
        format!("--org: no org is called {}; there are: {}", org.unwrap_or_default(), names.join(", "))
    })
}
