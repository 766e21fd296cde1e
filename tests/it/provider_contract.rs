//! What every vendor's documented answers lead to: each recorded case, one by one, against a server on loopback.

use std::fs;

use okta_telephony_hook::otp::FailureKind;
use serde_json::Value;

use crate::support::data;
use crate::support::okta::{self, SECRET};
use crate::support::server::TestServer;
use crate::support::vendor::{Answer, Call, VendorServer};

/// One recorded case of a vendor.
struct Case {
    name: String,
    json: Value,
}

fn cases(vendor: &str, products: &[&str]) -> Vec<Case> {
    let mut paths: Vec<_> = fs::read_dir(data(vendor)).expect(vendor).map(|e| e.expect("entry").path()).collect();
    paths.sort();
    let read =
        |path: &std::path::PathBuf| serde_json::from_slice::<Value>(&fs::read(path).expect("read")).expect("JSON");
    let cases = paths.iter().map(|path| Case { name: path.display().to_string(), json: read(path) });
    cases.filter(|case| products.contains(&case.json["product"].as_str().expect("product"))).collect()
}

impl Case {
    fn text(&self, pointer: &str) -> Option<String> {
        self.json.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
    }

    fn field(&self, name: &str) -> Option<String> {
        let form = self.json["request"]["form"].as_array().expect("form");
        form.iter().find(|pair| pair[0] == name).and_then(|pair| pair[1].as_str()).map(str::to_owned)
    }

    fn answer(&self) -> Option<Answer> {
        let response = &self.json["response"];
        match response["fault"].as_str() {
            Some("connect_refused") => return None,
            Some("read_timeout") => return Some(Answer::Hang),
            Some(other) => panic!("{}: unknown fault {other}", self.name),
            None => {}
        }
        let body = self.text("/response/raw_body").unwrap_or_else(|| response["body"].to_string());
        let status = u16::try_from(response["status"].as_u64().expect("status")).expect("status");
        Some(Answer::Http(
            status,
            vec![("content-type".into(), self.text("/response/headers/Content-Type").expect("type"))],
            body,
        ))
    }

    /// The kinds that the class of the contract allows.
    fn kinds(&self) -> Vec<FailureKind> {
        use FailureKind::{Account, Blocked, Recipient, Rejected, Throttled, Unavailable, Unconfirmed};
        let next = self.json["expect"]["next_provider"].as_bool().expect("next_provider");
        let kinds: &[FailureKind] = match (self.text("/expect/class").expect("class").as_str(), next) {
            ("bad-credentials", true) => &[Account],
            ("config-error", true) => &[Account, Rejected],
            ("config-error", false) => &[Recipient],
            ("bad-number", true) => &[Rejected],
            ("bad-number", false) => &[Recipient],
            ("blocked/opt-out", false) => &[Blocked, Recipient],
            ("rate-limited", true) => &[Throttled],
            ("provider-outage", true) => match self.json["expect"]["ambiguous"].as_bool() {
                Some(true) => &[Unconfirmed],
                Some(false) => &[Unavailable],
                None => &[Unavailable, Unconfirmed],
            },
            (class, next) => panic!("{}: {class}, next {next}", self.name),
        };
        kinds.to_vec()
    }
}

#[tokio::test]
async fn every_recorded_case_of_twilio_gives_what_it_expects() {
    for case in cases("twilio", &["messages", "calls"]) {
        let script: Vec<Answer> = case.answer().into_iter().collect();
        let reachable = !script.is_empty();
        let vendor = VendorServer::start(script).await;
        let closed = "http://127.0.0.1:9";
        let server = TestServer::start(&twilio(&case, if reachable { &vendor.url } else { closed })).await;
        let voice = case.json["product"] == "calls";
        let to = case.field("To").expect("To");
        let mut request = if voice { okta::voice(&to, "482913") } else { okta::sms(&to, "482913") };
        if !voice {
            // The code stands in every recorded text but the one that is too long to be sent.
            let body = case.field("Body").expect("Body");
            let text: String = body.chars().take(1600).collect();
            request["data"]["messageProfile"]["msgTemplate"] = text.into();
        }
        let answer = server.post("/okta/telephony", &[("authorization", SECRET)], request.to_string().as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", case.name);
        let reply: Value = serde_json::from_slice(&answer.body).expect("JSON");
        let channel = if voice { "voice" } else { "sms" };
        if case.json["expect"]["outcome"] == "accepted" {
            let value = &reply["commands"][0]["value"][0];
            assert_eq!(value["status"], "SUCCESSFUL", "{}", case.name);
            assert_eq!(value["transactionId"], case.json["expect"]["transaction_id"], "{}", case.name);
        } else {
            let mut counted = Vec::new();
            for kind in FailureKind::ALL {
                let line =
                    format!("okta_hook_attempts_total{{provider=\"twilio\",channel=\"{channel}\",kind=\"{kind}\"}}");
                if server.metric(&line).await > 0.0 {
                    counted.push(kind);
                }
            }
            assert_eq!(counted.len(), 1, "{}", case.name);
            assert!(case.kinds().contains(&counted[0]), "{}: {counted:?}", case.name);
        }
        server.stop().await;
        if reachable {
            compare(&case, &vendor.finish()[0]);
        } else {
            assert!(vendor.finish().is_empty());
        }
    }
}

fn twilio(case: &Case, url: &str) -> String {
    let path = case.text("/request/url").expect("url");
    let account = path.split('/').nth(5).expect("account");
    let key = case.text("/request/headers/Authorization").is_some_and(|a| a.starts_with("Basic U0s"));
    let credentials = if key {
        "api_key = 'SK00000000000000000000000000000002'\napi_secret = 'fake-api-key-secret-0001'"
    } else {
        "auth_token = '0123456789abcdef0123456789abcdef'"
    };
    let sender = match case.field("MessagingServiceSid") {
        Some(sid) => format!("messaging_service_sid = '{sid}'"),
        None => format!("from = '{}'", case.field("From").expect("From")),
    };
    let risk = if case.field("RiskCheck").is_some() { ", risk_check = 'enable'" } else { "" };
    let twiml_url =
        if case.field("Url").is_some() { ", twiml_url = 'https://hook.example.com/twiml/otp?tx=7f3a'" } else { "" };
    let voice_from = case.field("From").filter(|f| f.starts_with('+')).unwrap_or("+15005550006".into());
    format!(
        "[orgs.main]\nbudget = '600ms'\nmin_attempt = '50ms'\n[providers.twilio]\nkind = 'twilio'\naccount_sid = '{account}'\n{credentials}\n\
         base_url = '{url}'\nsms = {{ {sender}{risk} }}\n\
         voice = {{ from = '{voice_from}', ring_timeout = '30s'{twiml_url} }}\n"
    )
}

/// The fields of a recorded request stand in ours, in their order. Ours may have more; callbacks are not asked for yet.
fn compare(case: &Case, call: &Call) {
    assert_eq!(call.method, "POST", "{}", case.name);
    let url = case.text("/request/url").expect("url");
    assert!(url.ends_with(&call.path), "{}: {}", case.name, call.path);
    if !case.name.contains("401") {
        assert_eq!(
            call.header("authorization").map(str::to_owned),
            case.text("/request/headers/Authorization"),
            "{}",
            case.name
        );
    }
    let ours = call.form();
    let mut from = 0;
    for pair in case.json["request"]["form"].as_array().expect("form") {
        let (name, value) = (pair[0].as_str().expect("name"), pair[1].as_str().expect("value"));
        let compared = match name {
            "StatusCallback" | "StatusCallbackEvent" => continue,
            // A text this long holds no code and never leaves: ours stands in for it.
            "Body" if value.len() > 1600 => "Your verification code is 482913.".to_owned(),
            "Url" => format!("{value}&otp=4%2C+8%2C+2%2C+9%2C+1%2C+3"),
            _ => value.to_owned(),
        };
        let place = ours.iter().skip(from).position(|(n, _)| n == name);
        let place = from + place.unwrap_or_else(|| panic!("{}: no {name} in its place in {ours:?}", case.name));
        if name == "ValidityPeriod" {
            assert!((290..=300).contains(&ours[place].1.parse::<u32>().expect("seconds")), "{}", case.name);
        } else {
            assert_eq!(ours[place].1, compared, "{}: {name}", case.name);
        }
        from = place + 1;
    }
}
