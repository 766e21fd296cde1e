//! Okta's Factors API: what is asked and with which token, what the answers mean, and when nothing is asked.

use std::time::Duration;

use jiff::Timestamp;
use okta_telephony_hook::okta::factors::{Factors, FactorsFault};
use okta_telephony_hook::otp::{Channel, UserId};
use okta_telephony_hook::outbound::{self, Outbound};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::config::{GOOD, SECRETS, findings};
use crate::support::eventually;
use crate::support::server;
use crate::support::vendor::{Answer, VendorServer};

const TOKEN: &str = "00a-secret-token-of-oktas";
const USER: &str = "00uyxxSknGtK8022w0g3";

fn factors(url: &str) -> Factors {
    let toml = format!(
        "allow_sandbox = true\n[orgs.main.okta]\nurl = '{url}'\napi_token = '{TOKEN}'\n\
         [providers.sandbox]\nkind = 'sandbox'\n"
    );
    let org = server::load(&toml).config.orgs.remove(0);
    Factors::new(org.okta.expect("configured"), Outbound::new(&outbound::Settings::default()).expect("a client"))
}

async fn ask(factors: &Factors, user: &str, channel: Channel) -> Result<Vec<String>, FactorsFault> {
    let phones = factors.phones(&UserId::parse(user).expect("not empty"), channel).await;
    phones.map(|phones| phones.iter().map(|phone| phone.expose().to_owned()).collect())
}

fn enrolled() -> Value {
    json!([
        { "id": "ost1", "factorType": "push", "provider": "OKTA", "status": "ACTIVE", "profile": { "name": "phone" } },
        { "id": "sms2", "factorType": "sms", "provider": "OKTA", "status": "ACTIVE",
          "profile": { "phoneNumber": "+15005550010" } },
        { "id": "clf3", "factorType": "call", "provider": "OKTA", "status": "ACTIVE",
          "profile": { "phoneNumber": "+1-500-555-0011", "phoneExtension": null } },
        { "id": "sms4", "factorType": "sms", "provider": "OKTA", "status": "PENDING_ACTIVATION",
          "profile": { "phoneNumber": "+15005550012" } },
    ])
}

/// An answer that tells of the rate limit: what is left of 100, and in how many seconds all of it is back.
fn limited(status: u16, left: u32, reset_in: i64, body: &Value) -> Answer {
    let now = Timestamp::now();
    let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let headers = [
        ("date", date),
        ("x-rate-limit-limit", "100".to_owned()),
        ("x-rate-limit-remaining", left.to_string()),
        ("x-rate-limit-reset", (now.as_second() + reset_in).to_string()),
    ];
    Answer::Http(status, headers.map(|(name, value)| (name.to_owned(), value)).into(), body.to_string())
}

#[tokio::test]
async fn the_numbers_of_a_user_are_those_of_the_channels_active_factors() {
    let org = VendorServer::start([Answer::json(200, enrolled()), Answer::json(200, enrolled())]).await;
    let factors = factors(&org.url);
    assert_eq!(ask(&factors, USER, Channel::Sms).await, Ok(vec!["+15005550010".to_owned()]));
    assert_eq!(ask(&factors, USER, Channel::Voice).await, Ok(vec!["+15005550011".to_owned()]));
    for call in org.finish() {
        assert_eq!((&*call.method, &*call.path), ("GET", &*format!("/api/v1/users/{USER}/factors")));
        assert_eq!(call.header("authorization"), Some(&*format!("SSWS {TOKEN}")));
        assert_eq!((call.header("accept"), &*call.body), (Some("application/json"), ""));
    }
    assert!(!format!("{factors:?}").contains("secret"));
}

#[tokio::test]
async fn every_other_answer_is_none_or_a_fault_that_says_whether_to_ask_again() {
    let error = |code: &str| json!({ "errorCode": code, "errorSummary": "+15005550010", "errorCauses": [] });
    let huge = json!(["x".repeat(70_000)]);
    for (answer, expected, again) in [
        (Answer::json(404, error("E0000007")), Ok(vec![]), false),
        (Answer::json(200, json!([])), Ok(vec![]), false),
        (Answer::json(401, error("E0000011")), Err(FactorsFault::Refused(401)), false),
        (Answer::json(403, error("E0000006")), Err(FactorsFault::Refused(403)), false),
        (Answer::json(200, json!({ "factors": [] })), Err(FactorsFault::Unreadable), false),
        (Answer::Http(200, vec![], "<html>Sign in</html>".to_owned()), Err(FactorsFault::Unreadable), false),
        (
            Answer::Http(302, vec![("location".into(), "/login".into())], String::new()),
            Err(FactorsFault::Status(302)),
            false,
        ),
        (Answer::json(500, error("E0000009")), Err(FactorsFault::Status(500)), true),
        (Answer::json(200, huge), Err(FactorsFault::Unreadable), false),
        (Answer::Close, Err(FactorsFault::NoAnswer("connect".to_owned())), true),
    ] {
        let org = VendorServer::start([answer.clone()]).await;
        let told = ask(&factors(&org.url), USER, Channel::Sms).await;
        assert_eq!(told, expected, "{answer:?}");
        if let Err(fault) = told {
            assert_eq!(fault.is_transient(), again, "{fault}");
            assert!(!fault.to_string().contains("555"), "{fault}");
        }
        assert_eq!(org.finish().len(), 1, "asked once");
    }
}

#[tokio::test]
async fn what_is_no_id_of_oktas_is_not_asked_about() {
    let org = VendorServer::start([]).await;
    let factors = factors(&org.url);
    let long = "0".repeat(65);
    for user in ["me", "..", "a/../b", "00u?x", "00u%2e%2e", "ann@example.com", "00u 1", "zoë1", &long] {
        assert_eq!(ask(&factors, user, Channel::Sms).await, Err(FactorsFault::NotAnId), "{user}");
    }
    org.finish();
}

#[tokio::test]
async fn a_tenth_of_the_rate_limit_is_left_to_others() {
    let org = VendorServer::start([limited(200, 10, 40, &enrolled()), limited(200, 9, 40, &enrolled())]).await;
    let factors = factors(&org.url);
    for _ in 0..2 {
        assert_eq!(ask(&factors, USER, Channel::Sms).await, Ok(vec!["+15005550010".to_owned()]));
    }
    let fault = ask(&factors, USER, Channel::Sms).await.expect_err("paced");
    let FactorsFault::Paced(until) = fault else { panic!("{fault}") };
    let left = until.saturating_duration_since(Instant::now());
    assert!((Duration::from_secs(35)..=Duration::from_secs(40)).contains(&left), "{left:?}");
    assert!(fault.is_transient());
    assert_eq!(ask(&factors, "00uother", Channel::Voice).await, Err(fault), "the limit is the org's, not a user's");
    assert_eq!(org.finish().len(), 2);
}

#[tokio::test]
async fn after_429_nothing_is_asked_until_the_reset() {
    let error = json!({ "errorCode": "E0000047" });
    let org = VendorServer::start([limited(429, 0, 1, &error), limited(200, 99, 60, &enrolled())]).await;
    let factors = factors(&org.url);
    let first = ask(&factors, USER, Channel::Sms).await.expect_err("refused");
    assert!(matches!(first, FactorsFault::Paced(_)), "{first}");
    let mut refusals = 0;
    let mut numbers = Vec::new();
    let begun = Instant::now();
    eventually("it is asked again after a second", async || {
        match ask(&factors, USER, Channel::Sms).await {
            Ok(found) => numbers = found,
            Err(fault) => {
                assert_eq!(fault, first);
                refusals += 1;
            }
        }
        !numbers.is_empty()
    })
    .await;
    assert_eq!(numbers, ["+15005550010"]);
    assert!(refusals > 0 && begun.elapsed() > Duration::from_millis(500), "{refusals}");
    assert_eq!(org.finish().len(), 2, "once before, once after");
}

#[test]
fn the_orgs_api_takes_an_address_and_a_token() {
    let (faults, _) = findings(&format!("{GOOD}\n[orgs.main.okta]\nurl = 'http://example.okta.com'\n"), &SECRETS);
    assert!(faults.contains("orgs.main.okta.url: must be the org's https address alone"), "{faults}");
    assert!(faults.contains("orgs.main.okta.api_token: is required with url"), "{faults}");
    let (faults, warnings) = findings(
        &format!("{GOOD}\n[orgs.main.okta]\nurl = 'https://example.okta.com'\napi_token = '{TOKEN}'\n"),
        &SECRETS,
    );
    assert_eq!(faults, "");
    assert!(warnings.contains("orgs.main.okta: is asked only about events, and there is no event_hook"), "{warnings}");
    assert!(warnings.contains("orgs.main.okta.api_token: stands in a file in clear"), "{warnings}");
    assert!(!warnings.contains(TOKEN));
}
