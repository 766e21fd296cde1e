//! The rules of `[providers.*] kind = "telesign"`, and how a breach of each is told.

use serde_json::{Value, json};

use super::{CUSTOMER, KEY, account};
use crate::otp::Channel;
use crate::provider::telesign::{Api, Config, Settings};
use crate::secret::Environment;
use crate::settings::{Finding, Findings};

fn check(settings: Value) -> (Option<Config>, Findings) {
    let settings: Settings = serde_json::from_value(settings).expect("settings");
    let mut findings = Findings::default();
    let config = settings.check("t", &Environment::default(), &mut findings);
    (config, findings)
}

fn keys(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.key.as_str()).collect()
}

#[test]
fn an_id_and_a_key_suffice() {
    let (config, findings) = check(json!({ "kind": "telesign", "customer_id": CUSTOMER, "api_key": KEY }));
    let config = config.expect("a config");
    assert!(findings.faults.is_empty() && findings.warnings.is_empty(), "{findings:?}");
    assert_eq!(config.base_url.as_str(), "https://rest-ww.telesign.com/");
    assert_eq!((config.api, config.channels.as_slice()), (Api::Messaging, Channel::ALL.as_slice()));
    assert!(config.originating_ip && config.account_lifecycle_event.is_none());
}

#[test]
fn every_fault_names_its_key() {
    for (more, expected) in [
        (json!({ "customer_id": null }), "t.customer_id"),
        (json!({ "customer_id": " " }), "t.customer_id"),
        (json!({ "customer_id": "a:b" }), "t.customer_id"),
        (json!({ "customer_id": "a\r\nb" }), "t.customer_id"),
        (json!({ "api_key": null }), "t.api_key"),
        (json!({ "api_key": " " }), "t.api_key"),
        (json!({ "api_key": { "env": "NOT_SET" } }), "t.api_key"),
        (json!({ "api_key": "-----", "auth": "digest" }), "t.api_key"),
        (json!({ "previous_api_key": "-----" }), "t.previous_api_key"),
        (json!({ "base_url": "ftp://example.com" }), "t.base_url"),
        (json!({ "channels": [] }), "t.channels"),
        (json!({ "channels": "sms,fax" }), "t.channels"),
        (json!({ "sender_id": " " }), "t.sender_id"),
        (json!({ "by_country": { "GBR": "Example" } }), "t.by_country.GBR"),
        (json!({ "api": "sms-voice", "caller_id": "Example" }), "t.caller_id"),
        (json!({ "language": { "fr": " " } }), "t.language.fr"),
        (json!({ "voice": "" }), "t.voice.default"),
        (json!({ "repeat": 0 }), "t.repeat"),
        (json!({ "repeat": 6 }), "t.repeat"),
    ] {
        let (_, findings) = check(account(more.clone()));
        assert_eq!(keys(&findings.faults), [expected], "{more}");
        assert!(!format!("{findings:?}").contains("-----"));
    }
    let (config, findings) = check(json!({ "kind": "telesign" }));
    assert!(config.is_none());
    assert_eq!(keys(&findings.faults), ["t.customer_id", "t.api_key"], "all at once");
}

#[test]
fn doubtful_settings_are_warned_of() {
    for (more, expected) in [
        (json!({ "customer_id": "FFFFFFFF-EEEE" }), vec!["t.customer_id"]),
        (json!({ "base_url": "https://rest-api.telesign.com" }), vec!["t.base_url"]),
        (json!({ "base_url": "https://rest-api.telesign.com", "api": "sms-voice" }), vec![]),
        (json!({ "base_url": "http://vendor.test" }), vec!["t.base_url"]),
        (json!({ "caller_id": "18005550101" }), vec!["t.caller_id"]),
        (json!({ "voice": "f-en-US" }), vec!["t.voice.default"]),
        (json!({ "voice": { "en": "f-en-US", "fr": "en" }, "api": "sms-voice" }), vec!["t.voice.fr"]),
        (json!({ "language": "en", "api": "sms-voice" }), vec!["t.language.default"]),
        (json!({ "api_key": "not-base64" }), vec![]),
        (json!({ "api_key": "-----" }), vec![]),
        (json!({ "api_key": "not-base64", "auth": "digest" }), vec!["t.api_key"]),
        (json!({ "api_key": KEY, "auth": "digest" }), vec![]),
    ] {
        let (config, findings) = check(account(more.clone()));
        assert!(config.is_some() && findings.faults.is_empty(), "{more}: {findings:?}");
        assert_eq!(keys(&findings.warnings), expected, "{more}");
    }
}

#[test]
fn an_unknown_word_is_refused() {
    for more in [
        json!({ "api_keys": "x" }),
        json!({ "api": "verify" }),
        json!({ "auth": "bearer" }),
        json!({ "account_lifecycle_event": "login" }),
    ] {
        assert!(serde_json::from_value::<Settings>(account(more.clone())).is_err(), "{more}");
    }
}
