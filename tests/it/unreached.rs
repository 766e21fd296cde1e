//! Providers that are never reached take no place from those that are: a limit on sends counts what was sent.

use okta_telephony_hook::otp::FailureKind::Account;
use serde_json::json;

use crate::matrix::taken;
use crate::support::okta::{self, Understood, understand};
use crate::support::server::TestServer;
use crate::support::stub::{Act, Stage};
use crate::support::vendor::{Answer, VendorServer};

/// Nobody listens there.
const CLOSED: &str = "http://127.0.0.1:9";

/// Twilio accounts at these addresses, asked in this order.
fn accounts(urls: &[&str]) -> String {
    let account = |(n, url): (usize, &&str)| {
        format!(
            "[providers.p{}]\nkind = 'twilio'\naccount_sid = 'AC00000000000000000000000000000001'\nauth_token = 'x'\n\
             base_url = '{url}'\nsms = {{ from = '+15005550006' }}\n",
            n + 1
        )
    };
    let providers: String = urls.iter().enumerate().map(account).collect();
    format!("[orgs.main]\nbudget = '2400ms'\nattempt_timeout = '500ms'\nmin_attempt = '300ms'\n{providers}")
}

/// What Okta hears of one text that goes to these: the status word with the provider, or `error`.
async fn heard(urls: &[&str]) -> String {
    let server = TestServer::start(&accounts(urls)).await;
    match understand(&server.hook(&okta::another_sms()).await.body) {
        Understood::Command(status, provider, _) => format!("{status} {}", provider.unwrap_or_default()),
        Understood::Error(_) => "error".to_owned(),
    }
}

fn overloaded() -> Answer {
    Answer::json(503, json!({ "code": 20503, "message": "…", "status": 503 }))
}

#[tokio::test]
async fn one_that_refuses_the_connection_leaves_a_third_to_be_asked_after_a_doubt() {
    let (hangs, well) = (VendorServer::start([Answer::Hang]).await, VendorServer::start([taken()]).await);
    assert_eq!(heard(&[CLOSED, &hangs.url, &well.url]).await, "SUCCESSFUL p3");
    assert_eq!((hangs.finish().len(), well.finish().len()), (1, 1));
}

#[tokio::test]
async fn however_many_cannot_be_reached_the_next_one_is_asked() {
    let well = VendorServer::start([taken()]).await;
    assert_eq!(
        heard(&[CLOSED, "https://127.0.0.1:9", "http://no-such-host.invalid", &well.url]).await,
        "SUCCESSFUL p4"
    );
    assert_eq!(well.finish().len(), 1);
}

#[tokio::test]
async fn one_that_has_answered_counts_whatever_it_answered() {
    let refused = VendorServer::start([Answer::json(401, json!({ "code": 20003, "status": 401 }))]).await;
    let (hangs, unasked) = (VendorServer::start([Answer::Hang]).await, VendorServer::start([]).await);
    assert_eq!(heard(&[&refused.url, &hangs.url, &unasked.url]).await, "PENDING p2");
    assert_eq!([refused, hangs, unasked].map(|vendor| vendor.finish().len()), [1, 1, 0]);

    let mut vendors = Vec::new();
    for script in [vec![overloaded()], vec![overloaded()], vec![overloaded()], vec![]] {
        vendors.push(VendorServer::start(script).await);
    }
    let urls: Vec<&str> = vendors.iter().map(|vendor| vendor.url.as_str()).collect();
    assert_eq!(heard(&urls).await, "error");
    assert_eq!(vendors.iter().map(|vendor| vendor.finish().len()).collect::<Vec<_>>(), [1, 1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn who_hangs_behind_one_that_was_not_reached_is_waited_for_no_longer_than_any_other() {
    let stage = Stage::new("", &[("a", &[Act::Unreached(5)]), ("b", &[Act::Hang]), ("c", &[Act::Accept(100)])]);
    stage.call(&okta::another_sms()).await;
    assert_eq!(
        stage.transcript(),
        ["0 a asked", "5 a is not reached", "5 b asked", "1205 c asked", "1305 c accepts", "1305 Okta hears 200"]
    );

    // One that was reached has had its send: the second one is the last, and is waited for.
    let stage = Stage::new("", &[("a", &[Act::Fail(5, Account)]), ("b", &[Act::Hang]), ("c", &[])]);
    stage.call(&okta::another_sms()).await;
    assert_eq!(stage.transcript(), ["0 a asked", "5 a account", "5 b asked", "2575 Okta hears 200"]);
}

#[tokio::test(start_paused = true)]
async fn to_go_past_one_that_was_not_reached_is_a_failover_like_any_other() {
    // A call goes nowhere after a doubt; what was never reached leaves none.
    let stage = Stage::new("", &[("a", &[Act::Unreached(5)]), ("b", &[Act::Hang]), ("c", &[])]);
    let reply = stage.call(&okta::voice("+15005550010", "482913")).await;
    assert_eq!(understand(&reply.body), Understood::Command("PENDING".into(), Some("b".into()), None));

    // Of 140 in one moment 128 may fail over.
    let scripts: [(&str, &[Act]); 2] = [("a", &[Act::Unreached(100); 140]), ("b", &[Act::Accept(1); 128])];
    let stage = Stage::new("okta_concurrency = 1000", &scripts);
    let hooks: Vec<_> = (0..140).map(|_| okta::another_sms()).collect();
    let _ = futures_util::future::join_all(hooks.iter().map(|hook| stage.call(hook))).await;
    assert_eq!(stage.metrics.failovers_refused.get(), 12);
    assert!(stage.unused().is_empty(), "{:?}", stage.unused());
}
