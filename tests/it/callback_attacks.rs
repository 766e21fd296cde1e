//! Delivery reports that are forged, altered, played again, out of order or told to several replicas at once: on memory
//! and on a real Redis they change nothing they should not.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::callbacks::{CUSTOMER, FORM, KEY, PUBLIC, TOKEN, WEBHOOK, eight, signature, telesign, twilio};
use crate::support::eventually;
use crate::support::okta;
use crate::support::redis::RedisServer;
use crate::support::server::TestServer;
use crate::support::vendor::{Answer, VendorServer};

/// A way to say how a message fares.
#[derive(Debug, Clone, Copy)]
enum Vendor {
    Eight,
    Telesign,
    Twilio,
}

const VENDORS: [Vendor; 3] = [Vendor::Eight, Vendor::Telesign, Vendor::Twilio];

/// What vendors report, in the order in which it happens.
#[derive(Debug, Clone, Copy)]
enum Says {
    Sent,
    Delivered,
    Undelivered,
}

/// A callback as a vendor sends it.
#[derive(Debug, Clone)]
struct Report {
    path: &'static str,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Vendor {
    fn name(self) -> &'static str {
        match self {
            Self::Eight => "eight",
            Self::Telesign => "telesign",
            Self::Twilio => "twilio",
        }
    }

    /// The status by which it hears that its report was taken.
    fn thanks(self) -> u16 {
        match self {
            Self::Eight | Self::Telesign => 200,
            Self::Twilio => 204,
        }
    }

    fn settings(self, url: &str) -> String {
        match self {
            Self::Eight => eight(url, &format!("callback_secret = '{WEBHOOK}'")),
            Self::Telesign => telesign(url, KEY),
            Self::Twilio => twilio(url, &format!("auth_token = '{TOKEN}'")),
        }
    }

    /// Takes a message and gives it this id.
    fn takes(self, id: &str) -> Answer {
        match self {
            Self::Eight => Answer::json(200, json!({ "umid": id, "status": { "code": "QUEUED" } })),
            Self::Telesign => Answer::json(200, json!({ "reference_id": id, "status": { "code": 3001 } })),
            Self::Twilio => Answer::json(201, json!({ "sid": id, "status": "queued" })),
        }
    }

    fn report(self, id: &str, says: Says) -> Report {
        match self {
            Self::Eight => {
                let state = ["sent", "delivered", "undelivered"][says as usize];
                let body = json!({ "payload": { "umid": id, "status": { "state": state } } }).to_string();
                Report { path: "/callbacks/eight", headers: vec![("authorization", WEBHOOK.to_owned())], body }
            }
            Self::Telesign => {
                let code = [3001, 3000, 3056][says as usize];
                let body = json!({ "reference_id": id, "status": { "code": code } }).to_string();
                let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(KEY).expect("base64"));
                let tag = STANDARD.encode(hmac::sign(&key, body.as_bytes()));
                let headers = vec![("authorization", format!("TSA {CUSTOMER}:{tag}"))];
                Report { path: "/callbacks/telesign", headers, body }
            }
            Self::Twilio => {
                let status = ["sent", "delivered", "undelivered"][says as usize];
                let form = [("MessageSid", id), ("MessageStatus", status)];
                let signed = signature(&format!("{PUBLIC}/callbacks/twilio"), &form);
                let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
                let headers = vec![(FORM.0, FORM.1.to_owned()), ("x-twilio-signature", signed)];
                Report { path: "/callbacks/twilio", headers, body }
            }
        }
    }

    /// As `report`, with a proof that is none.
    fn forged(self, id: &str, says: Says) -> Report {
        let mut forged = self.report(id, says);
        let proof = forged.headers.last_mut().expect("a proof");
        // One letter off, at the end, where a careless comparison would stop looking.
        let other = if proof.1.ends_with("A=") { "B=" } else { "A=" };
        proof.1 = format!("{}{other}", &proof.1[..proof.1.len() - 2]);
        forged
    }
}

/// A server whose state is elsewhere, or its own.
async fn start(redis: Option<&RedisServer>, providers: &str) -> TestServer {
    let state = redis.map_or(String::new(), |redis| {
        format!("privacy.hash_key = 'a key that replicas share'\n[state]\nurl = '{}'\ntimeout = '1s'\n", redis.url())
    });
    TestServer::start(&format!("{state}[server]\npublic_url = '{PUBLIC}'\n[orgs.main]\n{providers}")).await
}

async fn post(server: &TestServer, report: &Report) -> u16 {
    let headers: Vec<(&str, &str)> = report.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    server.post(report.path, &headers, report.body.as_bytes()).await.status
}

/// How often each status was counted: underway, delivered, undelivered.
async fn counted(server: &TestServer, provider: &str) -> [f64; 3] {
    let mut counts = [0.0; 3];
    for (count, status) in counts.iter_mut().zip(["underway", "delivered", "undelivered"]) {
        let labels = format!("{{provider=\"{provider}\",channel=\"sms\",status=\"{status}\"}}");
        *count = server.metric(&format!("okta_hook_delivery_reports_total{labels}")).await;
    }
    counts
}

async fn refused(server: &TestServer, provider: &str, reason: &str) -> f64 {
    let labels = format!("{{provider=\"{provider}\",reason=\"{reason}\"}}");
    server.metric(&format!("okta_hook_callbacks_refused_total{labels}")).await
}

/// Waits for what happens behind an answer.
/// Waits until the journal has noted a send: Okta's answer does not wait for that.
async fn is_noted(redis: &RedisServer, id: &str) {
    // Under its id, its recipient and its user.
    let entries = || redis.everything().matches(&format!("\"transaction_id\":\"{id}\"")).count();
    eventually(id, async || entries() == 3).await;
}

/// What the journal says of the one message with an id.
fn delivery(redis: &RedisServer, id: &str) -> Vec<Option<String>> {
    let everything = redis.everything();
    let entries = everything.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let with_status = entries.filter(|entry| entry["transaction_id"] == id && entry["delivery"].is_string());
    with_status.map(|entry| entry["delivery"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn forged_altered_replayed_and_reordered_reports_change_nothing() {
    for vendor in VENDORS {
        for redis in [None, Some(RedisServer::start())] {
            let api = VendorServer::start([vendor.takes("ID1"), vendor.takes("ID2")]).await;
            let server = start(redis.as_ref(), &vendor.settings(&api.url)).await;
            let (name, whole) = (vendor.name(), format!("{vendor:?}, shared: {}", redis.is_some()));
            for _ in 0..2 {
                assert_eq!(server.hook(&okta::another_sms()).await.status, 200);
            }

            if let Some(redis) = &redis {
                is_noted(redis, "ID2").await;
            }

            // A signature that does not fit, or a credential that is wrong.
            let is_signed = !matches!(vendor, Vendor::Eight);
            let refusal = if is_signed { 403 } else { 401 };
            for says in [Says::Sent, Says::Delivered, Says::Undelivered] {
                assert_eq!(post(&server, &vendor.forged("ID1", says)).await, refusal, "{whole}");
            }
            let mut bare = vendor.report("ID1", Says::Delivered);
            bare.headers.pop();
            assert_eq!(post(&server, &bare).await, refusal, "{whole}");
            // The proof of one report under another. 8x8 signs no body: whoever knows its secret may say anything.
            let stolen =
                Report { body: vendor.report("ID1", Says::Undelivered).body, ..vendor.report("ID2", Says::Sent) };
            if is_signed {
                assert_eq!(post(&server, &stolen).await, refusal, "{whole}");
            }
            assert_eq!(counted(&server, name).await, [0.0; 3], "{whole}");
            assert_eq!(refused(&server, name, "forged").await, if is_signed { 5.0 } else { 4.0 }, "{whole}");

            let delivered = vendor.report("ID1", Says::Delivered);
            assert_eq!(post(&server, &delivered).await, vendor.thanks(), "{whole}");
            eventually(&whole, async || counted(&server, name).await == [0.0, 1.0, 0.0]).await;
            for report in [&delivered, &vendor.report("ID1", Says::Sent), &delivered] {
                assert_eq!(post(&server, report).await, vendor.thanks(), "{whole}");
            }
            assert_eq!(post(&server, &vendor.report("ID1", Says::Undelivered)).await, vendor.thanks(), "{whole}");
            assert_eq!(counted(&server, name).await, [0.0, 1.0, 0.0], "{whole}: the first final one stands");
            assert_eq!(post(&server, &vendor.forged("ID1", Says::Undelivered)).await, refusal, "{whole}");

            // The other message goes its own way.
            for (says, counts) in [(Says::Sent, [1.0, 1.0, 0.0]), (Says::Undelivered, [1.0, 1.0, 1.0])] {
                assert_eq!(post(&server, &vendor.report("ID2", says)).await, vendor.thanks(), "{whole}");
                eventually(&whole, async || counted(&server, name).await == counts).await;
            }
            for (id, says) in [("ID2", Says::Delivered), ("ID3", Says::Delivered)] {
                assert_eq!(post(&server, &vendor.report(id, says)).await, vendor.thanks(), "{whole}");
            }
            assert_eq!(counted(&server, name).await, [1.0, 1.0, 1.0], "{whole}");
            if let Some(redis) = &redis {
                assert_eq!(delivery(redis, "ID1"), [Some("delivered".to_owned())], "{whole}");
                // A resend would find it under the number too.
                assert_eq!(delivery(redis, "ID2"), vec![Some("undelivered".to_owned()); 2], "{whole}");
            }
            server.stop().await;
            assert_eq!(api.finish().len(), 2, "{whole}: reports send nothing");
        }
    }
}

#[tokio::test]
async fn a_provider_tells_nothing_about_anothers_message() {
    for redis in [None, Some(RedisServer::start())] {
        let api = VendorServer::start([Vendor::Eight.takes("ID1")]).await;
        let other = VendorServer::start([]).await;
        let [eight, telesign] = [Vendor::Eight.settings(&api.url), Vendor::Telesign.settings(&other.url)];
        let route = "[[orgs.main.routes]]\nsend = ['eight']\n";
        let server = start(redis.as_ref(), &format!("{route}{eight}{telesign}")).await;
        assert_eq!(server.hook(&okta::another_sms()).await.status, 200);
        if let Some(redis) = &redis {
            is_noted(redis, "ID1").await;
        }
        assert_eq!(post(&server, &Vendor::Telesign.report("ID1", Says::Undelivered)).await, 200);
        assert_eq!((counted(&server, "telesign").await, counted(&server, "eight").await), ([0.0; 3], [0.0; 3]));
        // In the wrong place, a proof is none.
        let misplaced = Report { path: "/callbacks/eight", ..Vendor::Telesign.report("ID1", Says::Undelivered) };
        assert_eq!(post(&server, &misplaced).await, 401);
        assert_eq!(post(&server, &Vendor::Eight.report("ID1", Says::Delivered)).await, 200);
        eventually("counted", async || counted(&server, "eight").await == [0.0, 1.0, 0.0]).await;
        server.stop().await;
        assert_eq!((api.finish().len(), other.finish().len()), (1, 0));
    }
}

#[tokio::test]
async fn what_two_replicas_hear_at_once_counts_once() {
    const MESSAGES: usize = 8;
    for vendor in VENDORS {
        let redis = RedisServer::start();
        let ids: Vec<String> = (0..MESSAGES).map(|n| format!("ID{n}")).collect();
        let api = VendorServer::start(ids.iter().map(|id| vendor.takes(id))).await;
        let providers = vendor.settings(&api.url);
        let (here, there) = (start(Some(&redis), &providers).await, start(Some(&redis), &providers).await);
        for id in &ids {
            assert_eq!(here.hook(&okta::another_sms()).await.status, 200);
            is_noted(&redis, id).await;
            let (sent, delivered) = (vendor.report(id, Says::Sent), vendor.report(id, Says::Delivered));
            let undelivered = vendor.report(id, Says::Undelivered);
            let told = tokio::join!(
                post(&here, &sent),
                post(&there, &sent),
                post(&here, &delivered),
                post(&there, &delivered),
                post(&there, &sent),
                post(&here, &delivered),
                post(&there, &delivered),
            );
            assert_eq!(<[u16; 7]>::from(told), [vendor.thanks(); 7]);
            eventually(id, async || delivery(&redis, id) == [Some("delivered".to_owned())]).await;
            assert_eq!([post(&here, &undelivered).await, post(&there, &undelivered).await], [vendor.thanks(); 2]);
            assert_eq!(delivery(&redis, id), [Some("delivered".to_owned())], "{vendor:?} {id}");
        }
        let total = async || {
            let (here, there) = (counted(&here, vendor.name()).await, counted(&there, vendor.name()).await);
            [here[0] + there[0], here[1] + there[1], here[2] + there[2]]
        };
        eventually("all are counted", async || total().await[1] >= MESSAGES as f64).await;
        let [underway, delivered, undelivered] = total().await;
        assert_eq!((delivered, undelivered), (MESSAGES as f64, 0.0), "{vendor:?}");
        assert!(underway <= MESSAGES as f64, "{vendor:?}: {underway}");
        for server in [here, there] {
            for reason in ["forged", "unknown", "unreadable"] {
                assert_eq!(refused(&server, vendor.name(), reason).await, 0.0, "{vendor:?} {reason}");
            }
            server.stop().await;
        }
        assert_eq!(api.finish().len(), MESSAGES);
    }
}

#[tokio::test]
async fn what_one_process_hears_many_times_at_once_counts_once() {
    let vendor = Vendor::Twilio;
    let api = VendorServer::start([vendor.takes("ID1")]).await;
    let server = start(None, &vendor.settings(&api.url)).await;
    assert_eq!(server.hook(&okta::another_sms()).await.status, 200);
    let report = vendor.report("ID1", Says::Undelivered);
    let told = tokio::join!(
        post(&server, &report),
        post(&server, &report),
        post(&server, &report),
        post(&server, &report),
        post(&server, &report),
        post(&server, &report),
    );
    assert_eq!(<[u16; 6]>::from(told), [vendor.thanks(); 6]);
    assert_eq!(counted(&server, "twilio").await, [0.0, 0.0, 1.0]);
    server.stop().await;
    assert_eq!(api.finish().len(), 1);
}
