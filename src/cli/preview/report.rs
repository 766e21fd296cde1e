//! What a preview shows: for people, aligned and in colour on a terminal; for programs, as JSON.
//!
//! Must not show a credential.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::paint::Paint;
use crate::guard::{Explanation, Line, Verdict};
use crate::hook::Hook;
use crate::learn::Mode;
use crate::okta::preview::Preview;
use crate::okta::{decode, is_taken};
use crate::otp::{Accepted, Attempt, Content, Message, Next, Outcome, ProviderName, SendError, TransactionId};
use crate::outbound::Request;
use crate::provider::{Provider, SendOptions};
use crate::route::Plan;
use crate::segments::Segments;

/// The steps of one preview, in order.
pub(super) struct Report {
    title: String,
    steps: Vec<Step>,
}

/// The last step.
const REPLY: &str = "reply";

/// A provider of the plan, and what it would be asked, or why nothing.
type Asked<'p> = (&'p dyn Provider, Result<Vec<Request>, SendError>);

/// When Okta hears a reply.
#[derive(Clone, Copy)]
pub(super) enum Heard<'p> {
    /// It came, after this long.
    After(Duration),
    /// It comes if this provider accepts.
    If(&'p ProviderName),
    /// No provider has a say in it.
    Ours,
}

struct Step {
    name: String,
    /// `None`: not played.
    good: Option<bool>,
    headline: String,
    lines: Vec<String>,
    data: Value,
}

impl Report {
    pub(super) fn new(hook: &Hook, mode: &str) -> Self {
        Self { title: title(hook, mode), steps: Vec::new() }
    }

    /// Everything short of sending.
    pub(super) fn dry(hook: &Hook, providers: &BTreeMap<ProviderName, Arc<dyn Provider>>, preview: &Preview) -> Self {
        let mut report = Self::new(hook, "nothing is sent");
        report.auth(hook);
        let message = match decode(preview.body().to_string().as_bytes(), hook.config().default_country) {
            Ok(decoded) => decoded.message,
            Err(faults) => {
                let lines: Vec<String> = faults.iter().map(|f| format!("{} {}", f.member, f.rule)).collect();
                report.step("message", false, "cannot be read", lines.clone(), json!({ "faults": lines }));
                let reply = crate::okta::Reply::bad_request(&faults);
                report.reply(reply.status, &reply.body, Heard::Ours);
                return report;
            }
        };
        let content = hook.content(&message);
        report.message(&message, &content);
        let explanation = hook.explain(&message);
        report.guard(&explanation);
        if let Some(outcome) = explanation.verdict.outcome(&message) {
            let reply = hook.config().replies.reply(&outcome, message.locale.as_ref(), Duration::ZERO);
            report.reply(reply.status, &reply.body, Heard::Ours);
            return report;
        }
        let plan = hook.plan(&message, None);
        report.plan(&plan, why(hook, &message, &plan));
        let options = SendOptions { content: &content, now: Timestamp::now() };
        let asked: Vec<Asked<'_>> = plan
            .providers
            .iter()
            .filter_map(|name| providers.get(name))
            .map(|provider| (provider.as_ref(), provider.requests(&message, options)))
            .collect();
        let outcome = outcome(&message, &plan, &asked);
        let taker = outcome.decisive().filter(|attempt| attempt.result.is_ok()).map(|attempt| &attempt.provider);
        for (provider, requests) in asked {
            match requests {
                Ok(requests) => report.requests(provider, &requests),
                Err(e) => report.no_request(provider, &e, taker.is_some()),
            }
        }
        let reply = hook.config().replies.reply(&outcome, message.locale.as_ref(), Duration::ZERO);
        report.reply(reply.status, &reply.body, taker.map_or(Heard::Ours, Heard::If));
        report
    }

    /// What was to be expected, with the reply that really came in the place of the expected one.
    pub(super) fn sent(mut self, hook: &Hook, status: u16, body: &[u8], elapsed: Duration) -> Self {
        self.title = title(hook, "really sent");
        self.steps.pop_if(|step| step.name == REPLY);
        self.reply(status, body, Heard::After(elapsed));
        self
    }

    fn auth(&mut self, hook: &Hook) {
        if let Some(issuer) = super::call::token_needed(hook) {
            let headline = format!("not played: needs an access token of {issuer}, which cannot be made here");
            let data = json!({ "admitted": null, "issuer": issuer });
            let name = "auth".to_owned();
            return self.steps.push(Step { name, good: None, headline, lines: Vec::new(), data });
        }
        let admitted = hook.config().authenticate.check(&super::call::credential(hook), Timestamp::now()).is_ok();
        let name = hook.config().authenticate.current().map_or("no header", |(name, _)| name.as_str());
        let headline = format!("{} by {name}: ***", if admitted { "admitted" } else { "refused" });
        self.step("auth", admitted, &headline, Vec::new(), json!({ "admitted": admitted, "header": name }));
    }

    fn message(&mut self, message: &Message, content: &Content) {
        let country = message.recipient.country().map_or("no country".to_owned(), |c| c.to_string());
        let locale = message.locale.as_ref().map_or("none", |l| l.as_str());
        let request_type = message.request_type.as_str();
        let (said, counted) = match content {
            Content::Text(text) => (format!("text     {}", text.expose()), Some(Segments::of(text.expose()))),
            Content::Speech(speech) => (format!("speech   {} ({})", speech.sentence.expose(), speech.language), None),
        };
        let number = message.recipient.expose();
        let headline = format!("{} to {number} ({country})", message.channel);
        let mut lines = vec![format!("locale   {locale}"), format!("reason   {request_type}")];
        // A text of several lines keeps its column.
        lines.extend(said.replace('\n', "\n         ").lines().map(str::to_owned));
        lines.extend(counted.map(|segments| format!("length   {segments}")));
        let data = json!({
            "channel": message.channel.as_str(), "to": number, "country": country, "locale": locale,
            "request_type": request_type, "content": said.split_once(' ').map_or("", |(_, s)| s.trim()),
            "segments": counted.map(|s| json!({ "parts": s.parts, "encoding": s.encoding.to_string() })),
        });
        self.step("message", true, &headline, lines, data);
    }

    /// What is looked at, and the verdict by where the message goes: a preview is not counted.
    fn guard(&mut self, explanation: &Explanation) {
        let rule = match explanation.verdict {
            Verdict::Allow => None,
            Verdict::Refuse { rule } | Verdict::Block { rule } => Some(rule.as_str()),
        };
        let headline = match rule {
            Some(rule) => format!("refused by {rule}"),
            None if explanation.lines.is_empty() => "off".to_owned(),
            None => "allowed where it goes; limits are not counted for a preview".to_owned(),
        };
        let line = |line: &Line| format!("{:<14} {:<8} {}", line.rule, line.mode.as_str(), line.allows);
        let rules: Vec<Value> = explanation
            .lines
            .iter()
            .map(|line| json!({ "rule": line.rule, "mode": line.mode.as_str(), "allows": line.allows }))
            .collect();
        let lines = explanation.lines.iter().map(line).collect();
        self.step("guard", rule.is_none(), &headline, lines, json!({ "refused_by": rule, "rules": rules }));
    }

    fn plan(&mut self, plan: &Plan, why: Vec<String>) {
        let names: Vec<&str> = plan.providers.iter().map(ProviderName::as_str).collect();
        let order = if names.is_empty() { "nobody".to_owned() } else { names.join(" → ") };
        let data = json!({ "route": *plan.route, "providers": names, "why": why });
        self.step("plan", !names.is_empty(), &format!("route {}: {order}", plan.route), why, data);
    }

    /// What a provider would be asked, in order.
    fn requests(&mut self, provider: &dyn Provider, requests: &[Request]) {
        let name = provider.name().as_str();
        if requests.is_empty() {
            let headline = format!("{name} ({}) makes no request", provider.kind());
            self.step("request", true, &headline, Vec::new(), json!({ "provider": name }));
        }
        for request in requests {
            self.request(provider, request);
        }
    }

    /// A provider that refuses the message by itself: a fault only where nobody else takes it.
    fn no_request(&mut self, provider: &dyn Provider, error: &SendError, is_taken: bool) {
        let name = provider.name().as_str();
        let headline = format!("{name} ({}) makes no request: {error}", provider.kind());
        let data = json!({ "provider": name, "error": error.to_string() });
        let (name, good) = ("request".to_owned(), (!is_taken).then_some(false));
        self.steps.push(Step { name, good, headline, lines: Vec::new(), data });
    }

    fn request(&mut self, provider: &dyn Provider, request: &Request) {
        let name = provider.name().as_str();
        let headers: Vec<(String, String)> = request
            .headers
            .iter()
            .map(|(header, value)| {
                let shown = if value.is_sensitive() { "***" } else { value.to_str().unwrap_or("***") };
                (header.to_string(), shown.to_owned())
            })
            .collect();
        let body = request.shown_body();
        let mut lines = vec![format!("{} {}", request.method, request.url)];
        lines.extend(headers.iter().map(|(header, value)| format!("{header}: {value}")));
        if !body.is_empty() {
            lines.push(String::new());
            lines.extend(readable(&body, headers.iter().any(|(_, value)| value.contains("form-urlencoded"))));
        }
        let data = json!({
            "provider": name, "method": request.method.as_str(), "url": request.url.as_str(),
            "headers": headers.into_iter().collect::<BTreeMap<_, _>>(), "body": body,
        });
        self.step("request", true, &format!("{name} ({})", provider.kind()), lines, data);
    }

    pub(super) fn reply(&mut self, status: u16, body: &[u8], heard: Heard<'_>) {
        let body: Value = serde_json::from_slice(body).unwrap_or_else(|_| String::from_utf8_lossy(body).into());
        let pretty = serde_json::to_string_pretty(&body).unwrap_or_default();
        let good = is_taken(&body);
        let (took, elapsed) = match heard {
            Heard::After(elapsed) => (format!(" after {} ms", elapsed.as_millis()), Some(elapsed)),
            Heard::If(provider) => (format!(" if {provider} accepts"), None),
            Heard::Ours => (String::new(), None),
        };
        let lines = pretty.lines().map(str::to_owned).collect();
        let elapsed_ms = elapsed.map(|e| u64::try_from(e.as_millis()).unwrap_or(u64::MAX));
        let data = json!({ "status": status, "body": body, "elapsed_ms": elapsed_ms });
        self.step(REPLY, good, &format!("HTTP {status}{took}"), lines, data);
    }

    fn step(&mut self, name: &str, good: bool, headline: &str, lines: Vec<String>, data: Value) {
        self.steps.push(Step { name: name.to_owned(), good: Some(good), headline: headline.to_owned(), lines, data });
    }

    /// Whether every step that was played went well.
    pub(super) fn is_good(&self) -> bool {
        self.steps.iter().all(|step| step.good != Some(false))
    }

    /// For people.
    pub(super) fn text(&self, paint: Paint) -> String {
        let mut text = format!("{}\n\n", paint.strong(&self.title));
        for step in &self.steps {
            let mark = match step.good {
                Some(true) => paint.good("ok  "),
                Some(false) => paint.bad("FAIL"),
                None => paint.faint("-   "),
            };
            // Writing into a String cannot fail.
            let _ = writeln!(text, "{mark} {:<8} {}", step.name, step.headline);
            for line in &step.lines {
                let _ = writeln!(text, "{}", paint.faint(&format!("              {line}")).trim_end());
            }
        }
        text
    }

    /// For programs.
    pub(super) fn json(&self) -> String {
        let steps: Vec<Value> =
            self.steps.iter().map(|step| json!({ "step": step.name, "ok": step.good, "detail": step.data })).collect();
        serde_json::to_string_pretty(&json!({ "preview": self.title, "steps": steps })).unwrap_or_default()
    }
}

fn title(hook: &Hook, mode: &str) -> String {
    format!("Preview of org {}: {mode}", hook.config().name)
}

/// Why the plan is as it is. What a server has learnt is in its memory alone.
fn why(hook: &Hook, message: &Message, plan: &Plan) -> Vec<String> {
    let mut lines = hook.config().router.explain(message);
    if !plan.ordered && plan.providers.len() > 1 {
        lines.push("weighted: drawn anew for every message".to_owned());
    }
    if hook.config().learn == Mode::Enforce && plan.ordered && plan.providers.len() > 1 {
        lines.push("learn = enforce: the running server asks whoever falls behind here last".to_owned());
    }
    lines
}

/// A body as a person reads it: a form one field a line, JSON indented.
fn readable(body: &str, is_form: bool) -> Vec<String> {
    if is_form {
        return form_urlencoded::parse(body.as_bytes()).map(|(key, value)| format!("{key} = {value}")).collect();
    }
    let json: Option<Value> = serde_json::from_str(body).ok();
    let pretty = json.and_then(|json| serde_json::to_string_pretty(&json).ok()).unwrap_or_else(|| body.to_owned());
    pretty.lines().map(str::to_owned).collect()
}

/// The outcome if the first provider that makes a request takes the message; those before it refuse it by themselves.
/// With nobody left, that nobody did.
fn outcome(message: &Message, plan: &Plan, asked: &[Asked<'_>]) -> Outcome {
    let taken = || Accepted::new(TransactionId::parse("preview").expect("printable ASCII"));
    let mut attempts = Vec::new();
    for (provider, requests) in asked {
        let result = requests.as_ref().map(|_| taken()).map_err(Clone::clone);
        let is_last = !result.as_ref().is_err_and(|e| e.kind.next() == Next::Provider);
        attempts.push(Attempt { provider: provider.name().clone(), result, elapsed: Duration::ZERO });
        if is_last {
            break;
        }
    }
    Outcome::of(message.channel, Arc::clone(&plan.route), attempts)
}
