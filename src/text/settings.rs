//! `[orgs.*.text]`: an org's own texts, as typed, and what is wrong or costly about them.
//!
//! Must not know which message a text is for.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::spoken::with_region;
use super::template::Template;
use super::webotp::WebOtp;
use super::{Sentence, Texts, UNKNOWN_LIFE_MINUTES, Wording};
use crate::otp::{Locale, OtpCode, RequestType, Text};
use crate::segments::{Segments, outside_gsm7};
use crate::settings::{Findings, Localized};

/// The reasons Okta documents; it may add others, so a new one is no fault.
const REQUEST_TYPES: [&str; 4] = ["pre-enrollment", "mfa-verification", "account-unlock", "password-reset"];

/// As long as Okta's codes are.
const USUAL_CODE: &str = "123456";

/// As long as a code may be.
const LONGEST_CODE: &str = "123456789012";

/// More than the life of any code, which Okta counts in minutes.
const LONGEST_LIFE_MINUTES: u64 = 9999;

/// `[orgs.*.text]`, as typed.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Texts of SMS by locale; Okta's own where there is none.
    pub sms: Localized,
    /// Sentences of calls by locale; the built-in ones where there is none.
    pub voice: Localized,
    /// Language of the sentence under `default`.
    pub voice_language: String,
    /// Host name that every SMS binds its code to.
    pub webotp: Option<String>,
    /// Texts for one reason, by the last word of Okta's `requestType`; they come before the general ones.
    pub by_request_type: BTreeMap<String, WordingSettings>,
}

/// `[orgs.*.text.by_request_type.*]`, as typed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WordingSettings {
    /// Texts of SMS by locale.
    pub sms: Localized,
    /// Sentences of calls by locale.
    pub voice: Localized,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sms: Localized::default(),
            voice: Localized::default(),
            voice_language: "en-US".to_owned(),
            webotp: None,
            by_request_type: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// Checks every text; `at` is the key path of this table.
    pub fn check(&self, at: &str, findings: &mut Findings) -> Texts {
        let host = self.webotp.as_deref().map(str::trim).filter(|host| !host.is_empty());
        let webotp = host.and_then(WebOtp::parse);
        if host.is_some() && webotp.is_none() {
            findings.fault(format!("{at}.webotp"), "must be a host name without scheme, such as example.com");
        }
        let language = told_in(&self.voice_language, &format!("{at}.voice_language"), findings);
        let mut check = Check { webotp: webotp.as_ref(), language: language.as_ref(), findings };
        let general = check.wording(&self.sms, &self.voice, at);
        let mut by_request_type: BTreeMap<String, Wording> = BTreeMap::new();
        for (key, wording) in &self.by_request_type {
            let at = format!("{at}.by_request_type.{key}");
            let name = check.request_type(key, &at);
            let wording = check.wording(&wording.sms, &wording.voice, &at);
            by_request_type.entry(name).or_default().extend(wording);
        }
        Texts { general, by_request_type, webotp }
    }
}

/// The language a sentence is told in, by the tag it stands under.
fn told_in(tag: &str, at: &str, findings: &mut Findings) -> Option<Locale> {
    let Some(locale) = Locale::parse(tag) else {
        findings.fault(at, "must be a language tag such as en-US");
        return None;
    };
    let told = with_region(&locale);
    if told.is_none() {
        findings.warn(at, "names a language without its region, and voices are chosen with one, such as hu-HU");
    }
    Some(told.unwrap_or(locale))
}

/// What the texts of one org are checked with.
struct Check<'a> {
    webotp: Option<&'a WebOtp>,
    language: Option<&'a Locale>,
    findings: &'a mut Findings,
}

impl Check<'_> {
    /// The word a message carries. No environment variable can hold a hyphen, no word of Okta's holds an underscore.
    fn request_type(&mut self, key: &str, at: &str) -> String {
        let name = RequestType::parse(key).as_str().replace('_', "-");
        if !REQUEST_TYPES.contains(&name.as_str()) {
            self.findings.warn(at, format!("is none of the request types known of Okta: {}", REQUEST_TYPES.join(", ")));
        }
        name
    }

    fn wording(&mut self, sms: &Localized, voice: &Localized, at: &str) -> Wording {
        let sms = sms.iter().filter_map(|(key, text)| Some((key.to_owned(), self.sms(key, text, at)?)));
        let sms = sms.collect();
        let voice = voice.iter().filter_map(|(key, text)| Some((key.to_owned(), self.voice(key, text, at)?)));
        Wording { sms, voice: voice.collect() }
    }

    fn sms(&mut self, key: &str, text: &str, at: &str) -> Option<Template> {
        let at = format!("{at}.sms.{key}");
        let template = Template::parse(text, &at, self.findings)?;
        self.length(self.sent(&template, LONGEST_CODE, LONGEST_LIFE_MINUTES).expose(), &at);
        self.cost(self.sent(&template, USUAL_CODE, UNKNOWN_LIFE_MINUTES).expose(), &at);
        Some(template)
    }

    fn voice(&mut self, key: &str, text: &str, at: &str) -> Option<Sentence> {
        let at = format!("{at}.voice.{key}");
        let template = Template::parse(text, &at, self.findings)?;
        let code = OtpCode::parse(LONGEST_CODE).expect("twelve digits");
        self.length(&template.fill(&code.spoken(), LONGEST_LIFE_MINUTES), &at);
        let language = if key == "default" { self.language.cloned() } else { told_in(key, &at, self.findings) };
        Some(Sentence { template, language: language? })
    }

    /// A text as it would be sent.
    fn sent(&self, template: &Template, code: &str, minutes: u64) -> Text {
        let text = Text::new(template.fill(code, minutes));
        let code = OtpCode::parse(code).expect("one of the two codes above");
        match self.webotp {
            Some(webotp) => webotp.bind(&text, &code),
            None => text,
        }
    }

    fn length(&mut self, text: &str, at: &str) {
        if text.chars().count() > Text::MAX_CHARS {
            let most = Text::MAX_CHARS;
            self.findings.fault(at, format!("must have at most {most} characters with the longest code filled in"));
        }
    }

    /// Warns of what multiplies the price of a text.
    fn cost(&mut self, text: &str, at: &str) {
        let segments = Segments::of(text);
        let alone = segments.encoding.alone();
        if let Some(c) = outside_gsm7(text) {
            self.findings
                .warn(at, format!("holds {c:?}, which GSM-7 lacks: a segment takes {alone} characters, not 160"));
        }
        if segments.parts > 1 {
            self.findings.warn(at, format!("takes {segments}, each charged: one has {alone} characters"));
        }
    }
}
