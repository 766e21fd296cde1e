//! `preview`: what happens to one request, shown step by step before Okta's Preview button is pressed.
//!
//! Must not send anything unless told to. Never shows a credential: those of ours and of the providers are masked.

mod call;
mod report;

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use url::Url;

use crate::app::Hooks;
use crate::config::{self, Sources};
use crate::hook::Hook;
use crate::okta::preview::Preview;
use crate::otp::Channel;
use report::Report;

#[derive(Debug, Args)]
pub(super) struct PreviewArguments {
    /// Number to send to, as Okta would write it
    #[arg(long, default_value = "+15005550006")]
    to: String,
    /// How the code travels
    #[arg(long, value_enum, default_value = "sms")]
    channel: ChannelArgument,
    /// Locale of the user
    #[arg(long, default_value = "en-US")]
    locale: String,
    /// Last word of Okta's requestType
    #[arg(long, default_value = "mfa-verification")]
    request_type: String,
    /// Org whose hook is played; the first one by default
    #[arg(long)]
    org: Option<String>,
    /// The code
    #[arg(long, default_value = "123456")]
    otp: String,
    /// Really send
    #[arg(long, conflicts_with_all = ["url", "curl"])]
    send: bool,
    /// Send the request to a running server instead: its address, with or without the hook's path
    #[arg(long, value_name = "URL", conflicts_with = "curl")]
    url: Option<Url>,
    /// Print the curl command that plays the request
    #[arg(long)]
    curl: bool,
    /// Machine-readable output
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ChannelArgument {
    Sms,
    #[value(alias = "call")]
    Voice,
}

impl PreviewArguments {
    fn preview(&self) -> Preview {
        Preview {
            to: self.to.clone(),
            channel: match self.channel {
                ChannelArgument::Sms => Channel::Sms,
                ChannelArgument::Voice => Channel::Voice,
            },
            locale: self.locale.clone(),
            request_type: self.request_type.clone(),
            otp: self.otp.clone(),
            // A new id every time: a repeat would be answered without being sent.
            event_id: format!("preview-{}", jiff::Timestamp::now().as_millisecond()),
        }
    }
}

pub(super) fn run(sources: &Sources, arguments: &PreviewArguments) -> ExitCode {
    let loaded = match config::load(sources) {
        Ok(loaded) => loaded,
        Err(invalid) => return super::tell(&invalid),
    };
    let runtime = match super::small_runtime() {
        Ok(runtime) => runtime,
        Err(e) => return super::fail(e),
    };
    runtime.block_on(async {
        let hooks = match Hooks::build(&loaded.config) {
            Ok(hooks) => hooks,
            Err(e) => return super::fail(e),
        };
        let Some(hook) = find(&hooks, arguments.org.as_deref()) else {
            return super::refuse("--org: no such org is configured");
        };
        let preview = arguments.preview();
        if arguments.curl {
            super::say(&(call::curl(&hook, &loaded.config.server, &preview) + "\n"));
            return ExitCode::SUCCESS;
        }
        if let Some(issuer) = call::token_needed(&hook).filter(|_| arguments.send || arguments.url.is_some()) {
            return super::fail(format!("cannot send: the hook admits only access tokens of {issuer}; try --curl"));
        }
        let report = match (&arguments.url, arguments.send) {
            (Some(url), _) => call::over_http(&hook, url, &preview).await,
            (None, true) => Ok(call::send(&hook, &preview).await),
            (None, false) => Ok(Report::dry(&hook, &hooks.providers, &preview)),
        };
        let report = match report {
            Ok(report) => report,
            Err(e) => return super::fail(e),
        };
        super::say(&if arguments.json { report.json() + "\n" } else { report.text(super::paint::Paint::stdout()) });
        // Detached attempts are seen through: `--send` really sends.
        hooks.shared.tasks.close();
        hooks.shared.tasks.wait().await;
        if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    })
}

fn find(hooks: &Hooks, org: Option<&str>) -> Option<Arc<Hook>> {
    let wanted = |hook: &&Arc<Hook>| org.is_none_or(|org| *hook.config().name == *org);
    hooks.hooks.iter().find(wanted).cloned()
}
