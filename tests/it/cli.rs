//! The binary as its user runs it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::okta::{self, SECRET, Understood, understand};
use crate::support::process::{Place, Running};
use crate::support::server::exchange;
use crate::support::tls::{self, Pki};
use crate::support::vendor::{Answer, VendorServer};

fn twilio(url: &str) -> Place {
    Place::new()
        .set("OKTA_HOOK__ORGS__MAIN__AUTH__HEADER__SECRET", SECRET)
        .set("OKTA_HOOK__PROVIDERS__TWILIO__KIND", "twilio")
        .set("OKTA_HOOK__PROVIDERS__TWILIO__ACCOUNT_SID", "AC00000000000000000000000000000001")
        .set("OKTA_HOOK__PROVIDERS__TWILIO__AUTH_TOKEN", "twilio-token-canary")
        .set("OKTA_HOOK__PROVIDERS__TWILIO__BASE_URL", url)
        .set("OKTA_HOOK__PROVIDERS__TWILIO__SMS__FROM", "+15005550006")
}

/// What stands on standard output, once that is there.
async fn printed_by(server: &Running, what: &str) -> String {
    eventually(what, async || server.stdout().contains(what)).await;
    server.stdout()
}

#[tokio::test]
async fn the_printed_curl_of_the_sandbox_works_when_pasted() {
    let server = Place::new().serve(&["serve", "--sandbox"]).await;
    assert!(server.public.ip().is_loopback());
    let printed = printed_by(&server, "…0009").await;
    let curl = printed.lines().find(|line| line.starts_with("curl ")).expect("one line").to_owned();
    let pasted = tokio::process::Command::new("sh").arg("-c").arg(&curl).output().await.expect("sh");
    assert!(pasted.status.success(), "{pasted:?}");
    let expected = Understood::Command("SUCCESSFUL".into(), Some("sandbox".into()), Some("sandbox-1".into()));
    assert_eq!(understand(&pasted.stdout), expected);

    let hung = curl.replace("+15005550006", "+15005550007").replace("'authorization: ", "'authorization: x");
    let refused = tokio::process::Command::new("sh").arg("-c").arg(&hung).output().await.expect("sh");
    assert_eq!(String::from_utf8_lossy(&refused.stdout), r#"{"error":{"errorSummary":"Unauthorized"}}"#);
    let ended = server.stop().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[tokio::test]
async fn trying_one_answer_of_the_sandbox_does_not_spoil_the_next() {
    let server = Place::new().serve(&["serve", "--sandbox"]).await;
    let printed = printed_by(&server, "authorization: ").await;
    let secret = printed.split("authorization: ").nth(1).and_then(|s| s.split('\'').next()).expect("secret");
    // 0007 is refused as fraud; its neighbours, and one person many times, are still served.
    for n in (0..12).map(|n| if n == 0 { 7 } else { 100 + n }) {
        let body = okta::sms(&format!("+1500555{n:04}"), "482913").to_string();
        let request = format!(
            "POST /okta/telephony HTTP/1.1\r\nhost: x\r\nauthorization: {secret}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = exchange(server.public, request.as_bytes()).await;
        let sent = matches!(understand(&answer.body), Understood::Command(_, _, Some(_)));
        assert_eq!(sent, n != 7, "{n}");
    }
    let logged = server.stop().await.stderr;
    let blocked: Vec<&str> = logged.lines().filter(|line| line.contains(r#""message":"blocked""#)).collect();
    assert!(blocked.len() == 1 && blocked[0].contains(r#""by":"sandbox""#), "{logged}");
}

#[tokio::test]
async fn a_sandbox_never_listens_beyond_this_machine() {
    let place =
        Place::new().file("local.toml", "[server]\nlisten = '0.0.0.0:0'\n[providers.twilio]\nkind = 'twilio'\n");
    let server = place.serve(&["serve", "--sandbox", "--config", "local.toml"]).await;
    assert!(server.public.ip().is_loopback() && server.admin.ip().is_loopback());
    server.stop().await;
}

#[tokio::test]
async fn check_config_tells_faults_with_exit_2_and_routes_with_exit_0() {
    let printed = Place::new().run(&["check-config"]).await;
    assert_eq!(printed.code, Some(2));
    assert!(printed.stderr.contains("providers: configure at least one"), "{}", printed.stderr);
    assert_eq!(printed.stdout, "");

    let printed = twilio("http://127.0.0.1:9").run(&["check-config"]).await;
    assert_eq!((printed.code, printed.stderr.as_str()), (Some(0), ""));
    for told in [
        "The configuration is valid.",
        "provider twilio (twilio)",
        "org main at /okta/telephony, budget 2600ms",
        "default: every request: sms: twilio; voice: nobody",
        "nobody delivers voice",
    ] {
        assert!(printed.stdout.contains(told), "{told}: {}", printed.stdout);
    }
    let serve = Place::new().run(&["serve"]).await;
    assert_eq!(serve.code, Some(2));
    assert_eq!(Place::new().run(&["frobnicate"]).await.code, Some(2));
}

#[tokio::test]
async fn files_named_before_and_behind_a_command_all_count_and_the_last_one_wins() {
    let place = twilio("http://127.0.0.1:9").file("a.toml", "[orgs.main]\npath = '/a'\nbudget = '2s'\n");
    let place = place.file("b.toml", "[orgs.main]\npath = '/b'\n").file("c.toml", "[orgs.main]\npath = '/c'\n");
    for (arguments, told) in [
        (&["--config", "a.toml", "check-config", "--config", "b.toml"][..], "org main at /b, budget 2s"),
        (&["--config", "b.toml", "--config", "a.toml", "check-config"], "org main at /a, budget 2s"),
        (&["check-config", "--config", "a.toml", "--config", "c.toml"], "org main at /c, budget 2s"),
        (
            &["--config", "a.toml", "--config", "b.toml", "check-config", "--config", "c.toml"],
            "org main at /c, budget 2s",
        ),
    ] {
        let printed = place.run(arguments).await;
        assert!(printed.stdout.contains(told), "{arguments:?}: {}{}", printed.stdout, printed.stderr);
    }
}

#[tokio::test]
async fn a_dry_preview_shows_every_step_sends_nothing_and_shows_no_secret() {
    let vendor = VendorServer::start([]).await;
    let place = twilio(&vendor.url);
    let printed = place.run(&["preview", "--to", "+447400123456", "--otp", "654321", "--locale", "fr-FR"]).await;
    assert_eq!((printed.code, printed.stderr.as_str()), (Some(0), ""));
    for told in [
        "nothing is sent",
        "admitted by authorization: ***",
        "sms to +447400123456 (GB)",
        "allowed where it goes; limits are not counted for a preview",
        "ok   plan     route default: twilio",
        "/2010-04-01/Accounts/AC00000000000000000000000000000001/Messages.json",
        "authorization: ***",
        "Body = Your verification code is 654321.",
        "ValidityPeriod = 299",
        "\"status\": \"SUCCESSFUL\"",
    ] {
        assert!(printed.stdout.contains(told), "{told}: {}", printed.stdout);
    }
    assert!(!printed.stdout.contains('\u{1b}'), "no colours in a pipe");
    for secret in [SECRET, "twilio-token-canary", "VC10b2tlbi1jYW5hcnk"] {
        assert!(!printed.stdout.contains(secret));
    }
    let json: Value = serde_json::from_str(&place.run(&["preview", "--json"]).await.stdout).expect("JSON");
    let steps: Vec<&str> = json["steps"].as_array().expect("steps").iter().filter_map(|s| s["step"].as_str()).collect();
    assert_eq!(steps, ["auth", "message", "guard", "plan", "request", "reply"]);

    let premium = place.run(&["preview", "--to", "+97912345678"]).await;
    assert!(premium.stdout.contains("FAIL guard    refused by range"), "{}", premium.stdout);
    assert!(premium.stdout.contains("per_phone      enforce  5 in ten minutes, 10 in an hour, 15 in a day"));
    assert!(!premium.stdout.contains("Messages.json") && premium.stdout.contains("errorSummary"));
    assert_eq!(premium.code, Some(1));

    let bad = place.run(&["preview", "--to", "12345"]).await;
    assert!(bad.stdout.contains("data.messageProfile.phoneNumber must start with +"), "{}", bad.stdout);
    assert_eq!(bad.code, Some(1), "a script must notice");
    assert_eq!(place.run(&["preview", "--org", "nobody"]).await.code, Some(2), "an argument is wrong");
    assert!(vendor.finish().is_empty());
}

#[tokio::test]
async fn a_preview_masks_the_token_in_the_address_that_reports_go_to() {
    let toml = format!(
        "server.public_url = 'https://otp.example.com'\n[orgs.main.auth.header]\nsecret = '{SECRET}'\n\
         [providers.eight]\nkind = '8x8'\nsubaccount_id = 'Acme_OTP'\napi_key = {{ env = 'KEY' }}\n\
         callback_secret = {{ env = 'KEY' }}\n"
    );
    let place = Place::new().file("hook.toml", &toml).set("KEY", "a-canary-of-a-key");
    for more in [&[][..], &["--json"]] {
        let printed = place.run(&[&["preview", "--config", "hook.toml"], more].concat()).await.stdout;
        assert!(printed.contains("/callbacks/eight?token=***") && !printed.contains("canary"), "{printed}");
    }
}

#[tokio::test]
async fn a_preview_shows_the_reply_of_the_first_provider_that_makes_a_request() {
    let account = "account_sid = 'AC00000000000000000000000000000001'\nauth_token = { env = 'TWILIO_TOKEN' }";
    let a = format!("[providers.a]\nkind = 'twilio'\n{account}\nsms = {{ by_country = {{ GB = '+442079460000' }} }}\n");
    let b = format!("[providers.b]\nkind = 'twilio'\n{account}\nsms = {{ from = '+15005550006' }}\nlookup = {{}}\n");
    let org = format!("[orgs.main.auth.header]\nsecret = '{SECRET}'\n");
    let printed = |toml: String| async move {
        let place = Place::new().file("hook.toml", &toml).set("TWILIO_TOKEN", "twilio-token-canary");
        place.run(&["preview", "--to", "+15005550010", "--config", "hook.toml"]).await
    };
    let both = printed(format!("{org}[[orgs.main.routes]]\nsend = ['a', 'b']\n{a}{b}")).await;
    assert_eq!(both.code, Some(0), "{}", both.stdout);
    let told = [
        "-    request  a (twilio) makes no request: rejected: no_sender",
        "ok   request  b (twilio)",
        "GET https://lookups.twilio.com/v2/PhoneNumbers/%2B15005550010?Fields=line_type_intelligence,sms_pumping_risk",
        "ok   request  b (twilio)",
        "POST https://api.twilio.com/",
        "ok   reply    HTTP 200 if b accepts",
        "\"provider\": \"b\"",
        "attempts=[a rejected: no_sender 0ms; b accepted 0ms]",
    ];
    let mut rest = both.stdout.as_str();
    for told in told {
        rest = rest.split_once(told).unwrap_or_else(|| panic!("{told} in its place: {}", both.stdout)).1;
    }
    let alone = printed(format!("{org}{a}")).await;
    assert_eq!(alone.code, Some(1), "{}", alone.stdout);
    for told in ["FAIL request  a (twilio) makes no request", "FAIL reply    HTTP 200\n", "errorSummary"] {
        assert!(alone.stdout.contains(told), "{told}: {}", alone.stdout);
    }
    assert!(!alone.stdout.contains("SUCCESSFUL") && !both.stdout.contains("twilio-token-canary"));
}

#[tokio::test]
async fn preview_sends_when_told_to_and_only_then() {
    let sid = "SMaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let vendor = VendorServer::start([Answer::json(201, json!({ "sid": sid, "status": "queued" }))]).await;
    let printed = twilio(&vendor.url).run(&["preview", "--send", "--json"]).await;
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    let json: Value = serde_json::from_str(&printed.stdout).expect("JSON");
    assert_eq!(json["preview"], "Preview of org main: really sent");
    let steps: Vec<&str> = json["steps"].as_array().expect("steps").iter().filter_map(|s| s["step"].as_str()).collect();
    assert_eq!(steps, ["auth", "message", "guard", "plan", "request", "reply"], "what was sent, and what really came");
    assert_eq!(json["steps"][5]["detail"]["body"]["commands"][0]["value"][0]["transactionId"], sid);
    assert_eq!(vendor.finish().len(), 1);
}

#[tokio::test]
async fn a_preview_is_content_with_every_reply_that_okta_takes() {
    for (answer, vendors, exhausted, status, code) in [
        (500, 20500, "failed", "\"PENDING\"", 0),
        (401, 20003, "failed", "\"FAILED\"", 0),
        (401, 20003, "error", "\"errorSummary\"", 1),
        (401, 20003, "http-503", "HTTP 503", 1),
    ] {
        let vendor = VendorServer::start([Answer::json(answer, json!({ "code": vendors, "status": answer }))]).await;
        let place = twilio(&vendor.url).set("OKTA_HOOK__ORGS__MAIN__REPLY__EXHAUSTED", exhausted);
        let printed = place.run(&["preview", "--send"]).await;
        assert!(printed.stdout.contains(status), "{}", printed.stdout);
        assert_eq!(printed.code, Some(code), "{}", printed.stdout);
        assert_eq!(vendor.finish().len(), 1);
    }
}

#[tokio::test]
async fn preview_plays_okta_towards_a_running_server() {
    let sid = "SMaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let vendor = VendorServer::start([Answer::json(201, json!({ "sid": sid, "status": "queued" }))]).await;
    let server = twilio(&vendor.url).serve(&["serve"]).await;
    let url = format!("http://{}", server.public);
    let printed = server.place.run(&["preview", "--url", &url]).await;
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    assert!(printed.stdout.contains(sid), "{}", printed.stdout);
    let printed =
        server.place.run(&["preview", "--curl", "--request-type", "com.okta.user.telephony.pre-enrollment"]).await;
    let curl = printed.stdout;
    assert!(curl.starts_with("curl ") && curl.lines().count() == 1, "it can be run as it stands: {curl}");
    for told in ["otpExpires", "eventTime", "source", "\"com.okta.user.telephony.pre-enrollment\""] {
        assert!(curl.contains(told), "{told}: {curl}");
    }
    assert!(curl.contains("-H \"authorization: $OKTA_HOOK_SECRET\"") && !curl.contains(SECRET), "{curl}");
    assert_eq!(printed.stderr, "OKTA_HOOK_SECRET is the whole value of the authorization header\n");
    server.stop().await;
    assert_eq!(vendor.finish().len(), 1);
    let nobody = twilio("http://127.0.0.1:9").run(&["preview", "--url", "http://127.0.0.1:9"]).await;
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.stderr.contains("/okta/telephony: connection failed (connect)"), "{}", nobody.stderr);
}

#[tokio::test]
async fn preview_takes_the_org_whose_path_an_address_has() {
    let place = Place::new().file(
        "config/local.toml",
        &format!(
            "allow_sandbox = true\n[providers.log]\nkind = 'sandbox'\n[server]\npublic_url = 'https://otp.example.com/base'\n\
             [orgs.first]\npath = '/first'\nauth.header = {{ name = 'x-first', secret = '{SECRET}' }}\n\
             [orgs.second]\npath = '/second'\nauth.header = {{ name = 'x-second', secret = '{SECRET}' }}\n"
        ),
    );
    for (arguments, header) in [
        (&["--url", "http://host/second"][..], "x-second"),
        (&["--url", "http://host/base/second"], "x-second"),
        (&["--url", "http://host/first"], "x-first"),
        (&["--url", "http://host"], "x-first"),
        (&["--url", "http://host/elsewhere"], "x-first"),
        (&["--url", "http://host/second", "--org", "first"], "x-first"),
        (&["--org", "second"], "x-second"),
    ] {
        let printed = place.run(&[&["preview", "--curl"], arguments].concat()).await;
        assert!(printed.stdout.contains(&format!("-H \"{header}: ")), "{arguments:?}: {}", printed.stdout);
    }
}

#[tokio::test]
async fn preview_reaches_a_server_with_a_certificate_of_its_own_authority_and_past_the_proxy() {
    let pki = Pki::new();
    let server = tls::serve(&pki).await;
    let url = format!("https://localhost:{}", server.public.port());
    let proxy = VendorServer::start([Answer::json(403, "no")]).await;
    let place = twilio("http://127.0.0.1:9").set("OKTA_HOOK__OUTBOUND__PROXY", &proxy.url);
    let stranger = place.run(&["preview", "--url", &url]).await;
    assert_eq!(stranger.code, Some(1));
    assert!(stranger.stderr.contains("connection failed (tls)"), "{}", stranger.stderr);
    let place = place.set("OKTA_HOOK__OUTBOUND__CA_FILE", &pki.authority().display().to_string());
    let printed = place.run(&["preview", "--url", &url]).await;
    assert!(printed.stdout.contains("HTTP 200"), "{}{}", printed.stdout, printed.stderr);
    let plain = place.run(&["preview", "--url", "http://otp.invalid/hook"]).await;
    assert!(plain.stderr.contains("otp.invalid/hook: connection failed (dns)"), "{}", plain.stderr);
    assert!(
        proxy.calls().is_empty(),
        "neither what is on this machine nor what is sent in clear is the proxy's to see"
    );
    let far = place.run(&["preview", "--url", "https://otp.invalid/hook"]).await;
    assert!(far.stderr.contains("otp.invalid/hook: connection failed (connect)"), "{}", far.stderr);
    let calls = proxy.finish();
    assert_eq!((calls.len(), calls[0].method.as_str(), calls[0].path.as_str()), (1, "CONNECT", "otp.invalid:443"));
}

#[tokio::test]
async fn preview_takes_what_is_typed_and_says_what_there_is() {
    let place = twilio("http://127.0.0.1:9").set("OKTA_HOOK__PROVIDERS__TWILIO__VOICE__FROM", "+15005550006");
    for (word, told) in [("SMS", "sms to"), ("Voice call", "voice to"), ("CALL", "voice to"), ("voice", "voice to")] {
        let printed = place.run(&["preview", "--channel", word]).await;
        assert!(
            printed.code == Some(0) && printed.stdout.contains(told),
            "{word}: {}{}",
            printed.stdout,
            printed.stderr
        );
    }
    let fax = place.run(&["preview", "--channel", "fax"]).await;
    assert!(fax.code == Some(2) && fax.stderr.contains("must be sms, voice"), "{}", fax.stderr);
    let nobody = place.run(&["preview", "--org", "nobody"]).await;
    assert_eq!((nobody.code, nobody.stderr.as_str()), (Some(2), "--org: no org is called nobody; there are: main\n"));

    for (url, told) in [
        ("https://otp.example.com", "curl -sS 'https://otp.example.com/okta/telephony' -H "),
        ("https://otp.example.com/x", "curl -sS 'https://otp.example.com/x' -H "),
        ("https://otp.example.com/'x", "curl -sS 'https://otp.example.com/'\\''x' -H "),
    ] {
        let curl = place.run(&["preview", "--curl", "--url", url]).await.stdout;
        assert!(curl.lines().count() == 1 && curl.starts_with(told), "{curl}");
    }
}

#[tokio::test]
async fn the_sandbox_needs_no_word_for_serve_and_no_other_command_takes_it() {
    for arguments in [&["--sandbox"][..], &["--sandbox", "serve"]] {
        let server = Place::new().serve(arguments).await;
        assert_eq!(server.stop().await.code, Some(0), "{arguments:?}");
    }
    for arguments in [&["--sandbox", "check-config"][..], &["check-config", "--sandbox"], &["--sandbox", "preview"]] {
        let printed = Place::new().run(arguments).await;
        assert!(printed.code == Some(2) && printed.stderr.contains("--sandbox"), "{arguments:?}: {}", printed.stderr);
    }
}

#[tokio::test]
async fn healthcheck_follows_readiness() {
    let server = Place::new().serve(&["serve", "--sandbox"]).await;
    let place = Place::new().set("OKTA_HOOK__ADMIN__LISTEN", &server.admin.to_string());
    let printed = place.run(&["healthcheck"]).await;
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    server.stop().await;
    let printed = place.run(&["healthcheck"]).await;
    assert_eq!(printed.code, Some(1));
    assert!(printed.stderr.contains("no answer from"), "{}", printed.stderr);
}

#[tokio::test]
async fn a_port_in_use_is_told_with_its_key() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let place = twilio("http://127.0.0.1:9")
        .set("OKTA_HOOK__SERVER__LISTEN", &taken.local_addr().expect("address").to_string());
    let printed = place.run(&["serve"]).await;
    assert_eq!(printed.code, Some(1));
    assert!(printed.stderr.contains("server.listen"), "{}", printed.stderr);
}

#[tokio::test]
async fn sigterm_drains_and_exits_with_0() {
    let server = Place::new().set("OKTA_HOOK__SERVER__SHUTDOWN_DELAY", "100ms").serve(&["serve", "--sandbox"]).await;
    let printed = printed_by(&server, "authorization: ").await;
    let secret = printed.split("authorization: ").nth(1).and_then(|s| s.split('\'').next()).expect("secret");
    let body = okta::sms("+15005550011", "482913").to_string();
    let request = format!(
        "POST /okta/telephony HTTP/1.1\r\nhost: x\r\nauthorization: {secret}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let address = server.public;
    let in_flight = tokio::spawn(async move { exchange(address, request.as_bytes()).await });
    eventually("it is in flight", async || server.metric("okta_hook_in_flight").await == 1.0).await;
    server.signal("TERM");
    let answer = in_flight.await.expect("no panic");
    assert!(matches!(understand(&answer.body), Understood::Command(status, ..) if status == "SUCCESSFUL"));
    let ended = server.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("\"stopped\""), "{}", ended.stderr);
}

#[tokio::test]
async fn a_second_signal_ends_at_once_and_says_so() {
    let server = Place::new().set("OKTA_HOOK__SERVER__SHUTDOWN_DELAY", "60s").serve(&["serve", "--sandbox"]).await;
    let readyz = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let ready = async || exchange(server.admin, readyz).await.status == 200;
    // Two signals that wait together to be taken could be taken in either order.
    eventually("it serves", ready).await;
    server.signal("TERM");
    eventually("it is stopping", async || !ready().await).await;
    server.signal("INT");
    let ended = tokio::time::timeout(Duration::from_secs(20), server.ended()).await.expect("at once");
    assert_eq!(ended.code, Some(1));
    let last: Value = serde_json::from_str(ended.stderr.lines().last().expect("lines")).expect("JSON");
    assert_eq!((&last["level"], &last["message"]), (&json!("WARN"), &json!("second signal: stopping at once")));
}

#[tokio::test]
async fn a_drop_that_okta_does_not_hear_of_is_a_warn_line_by_provider_and_by_switch() {
    let place = Place::new().set("OKTA_HOOK__ORGS__MAIN__AUTH__HEADER__SECRET", SECRET);
    let place = place.set("OKTA_HOOK__ALLOW_SANDBOX", "true").set("OKTA_HOOK__PROVIDERS__A__KIND", "sandbox");
    let server = place.serve(&["serve"]).await;
    let hook = |number: &str| {
        let body = okta::for_a_stranger(okta::sms(number, "482913")).to_string();
        let head =
            format!("POST /okta/telephony HTTP/1.1\r\nhost: x\r\nauthorization: {SECRET}\r\nconnection: close\r\n");
        format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
    };
    // The sandbox takes a number that ends in 0007 for fraud.
    exchange(server.public, &hook("+15005550007")).await;
    let off = "PUT /switches/country/GB HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 20\r\n\r\n{\"state\":\"disabled\"}";
    assert_eq!(exchange(server.admin, off.as_bytes()).await.status, 200);
    exchange(server.public, &hook("+447400123456")).await;
    exchange(server.public, &hook("+4915112345678")).await;
    let logged = server.stop().await.stderr;
    let lines = logged.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines: Vec<Value> = lines.filter(|line| line["message"] == "blocked").collect();
    let told: Vec<_> =
        lines.iter().map(|l| json!([l["level"], l["org"], l["by"], l["country"], l["channel"]])).collect();
    assert_eq!(told, [json!(["WARN", "main", "a", "US", "sms"]), json!(["WARN", "main", "switch", "GB", "sms"])]);
    assert!(lines.iter().all(|line| line["phone_ref"].is_string()));
}

#[tokio::test]
async fn check_config_live_tells_what_the_running_server_has_switched_off() {
    let server = twilio("http://127.0.0.1:9").serve(&["serve"]).await;
    let put = "PUT /switches/country/GB HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 20\r\n\r\n{\"state\":\"disabled\"}";
    for name in ["gb", "GB"] {
        assert_eq!(exchange(server.admin, put.replace("GB", name).as_bytes()).await.status, 200);
    }
    let place = twilio("http://127.0.0.1:9").set("OKTA_HOOK__ADMIN__LISTEN", &server.admin.to_string());
    let printed = place.run(&["check-config", "--live"]).await;
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    assert!(printed.stdout.contains("server ready\nswitch country GB disabled\n"), "{}", printed.stdout);
    let log = server.stop().await.stderr;
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("switch set")).collect();
    assert!(matches!(lines[..], [line] if line.contains("\"name\":\"GB\"")), "once, as it is called: {lines:?}");
    assert_eq!(place.run(&["check-config", "--live"]).await.code, Some(1));
}

#[tokio::test]
async fn preview_says_that_the_running_server_may_ask_in_another_order() {
    let toml = |learn: &str, providers: &str| {
        let providers: String = providers.chars().map(|p| format!("[providers.{p}]\nkind = 'sandbox'\n")).collect();
        format!(
            "allow_sandbox = true\n[orgs.main]\nlearn = '{learn}'\n[orgs.main.auth.header]\nsecret = '{SECRET}'\n{providers}"
        )
    };
    for (learn, providers, told) in [("enforce", "ab", true), ("observe", "ab", false), ("enforce", "a", false)] {
        let place = Place::new().file("hook.toml", &toml(learn, providers));
        let printed = place.run(&["preview", "--to", "+15005550010", "--config", "hook.toml"]).await;
        assert_eq!(printed.stdout.contains("learn = enforce"), told, "{learn} {providers}: {printed:?}");
    }
}
