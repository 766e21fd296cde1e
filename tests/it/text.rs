//! An org's own texts, from the configuration to what a vendor is asked to send.

use serde_json::{Value, json};

use crate::support::okta::{self, SECRET, Understood, understand};
use crate::support::process::Place;
use crate::support::server::TestServer;
use crate::support::vendor::{Answer, VendorServer};

const SID: &str = "SMaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

const TEXT: &str = "
    [orgs.main.text]
    sms = { default = 'Your Example code is {code}, good for {minutes} minutes.', fr = 'Votre code Example : {code}' }
    voice = { default = 'Your Example code is {code}.', fr = 'Votre code Example est {code}.' }
    voice_language = 'en-GB'
    webotp = 'login.example.com'
    [orgs.main.text.by_request_type.password-reset]
    sms = { default = 'Reset your password with {code}.', fr-CA = 'Réinitialisez avec {code}.' }
    voice = { fr = 'Pour réinitialiser : {code} & merci.' }
";

fn config(text: &str, vendor: &VendorServer) -> String {
    format!(
        "{text}
        [providers.twilio]
        kind = 'twilio'
        account_sid = 'AC00000000000000000000000000000001'
        auth_token = '0123456789abcdef0123456789abcdef'
        base_url = '{}'
        sms = {{ from = '+15005550006' }}
        voice = {{ from = '+15005550006', repeat = 1 }}
    ",
        vendor.url
    )
}

fn request(mut request: Value, locale: &str, request_type: &str) -> Value {
    request["requestType"] = format!("com.okta.user.telephony.{request_type}").into();
    request["data"]["messageProfile"]["locale"] = locale.into();
    request
}

#[tokio::test]
async fn each_person_gets_the_text_of_their_language_and_reason() {
    let cases = [
        (
            ("EN-US", "mfa-verification"),
            "Your Example code is 482913, good for 5 minutes.",
            ("en-GB", "Your Example code is 4, 8, 2, 9, 1, 3."),
        ),
        (
            ("fr-CA", "mfa-verification"),
            "Votre code Example : 482913",
            ("fr-FR", "Votre code Example est 4, 8, 2, 9, 1, 3."),
        ),
        (
            ("de", "mfa-verification"),
            "Your Example code is 482913, good for 5 minutes.",
            ("en-GB", "Your Example code is 4, 8, 2, 9, 1, 3."),
        ),
        (
            ("EN-US", "password-reset"),
            "Reset your password with 482913.",
            ("en-GB", "Your Example code is 4, 8, 2, 9, 1, 3."),
        ),
        (
            ("fr-CA", "password-reset"),
            "Réinitialisez avec 482913.",
            ("fr-FR", "Pour réinitialiser : 4, 8, 2, 9, 1, 3 &amp; merci."),
        ),
        (
            ("de", "password-reset"),
            "Reset your password with 482913.",
            ("en-GB", "Your Example code is 4, 8, 2, 9, 1, 3."),
        ),
    ];
    let answer = Answer::json(201, json!({ "sid": SID, "status": "queued" }));
    let vendor = VendorServer::start(vec![answer; cases.len() * 2]).await;
    let server = TestServer::start(&config(TEXT, &vendor)).await;
    for ((locale, request_type), _, _) in cases {
        for message in [okta::sms("+15005550010", "482913"), okta::voice("+15005550010", "482913")] {
            let answer = server.hook(&okta::for_a_stranger(request(message, locale, request_type))).await;
            assert!(matches!(understand(&answer.body), Understood::Command(status, ..) if status == "SUCCESSFUL"));
        }
    }
    server.stop().await;
    for (sent, (case, text, (language, sentence))) in vendor.finish().chunks(2).zip(cases) {
        let text = format!("{text}\n\n@login.example.com #482913");
        assert_eq!(sent[0].field("Body"), Some(text), "{case:?}");
        let twiml = format!("<Response><Say language=\"{language}\" loop=\"1\">{sentence}</Say></Response>");
        assert_eq!(sent[1].field("Twiml"), Some(twiml), "{case:?}");
    }
}

#[tokio::test]
async fn without_a_text_of_its_own_an_org_binds_oktas_text() {
    let vendor = VendorServer::start([Answer::json(201, json!({ "sid": SID, "status": "queued" }))]).await;
    let server = TestServer::start(&config("[orgs.main.text]\nwebotp = 'example.com'", &vendor)).await;
    server.hook(&okta::sms("+15005550010", "482913")).await;
    server.stop().await;
    let body = vendor.finish()[0].field("Body");
    assert_eq!(body.as_deref(), Some("Example: your sign-in code is 482913.\n\n@example.com #482913"));
}

#[tokio::test]
async fn a_preview_shows_the_text_and_what_it_takes() {
    let place = Place::new()
        .set("OKTA_HOOK__ALLOW_SANDBOX", "true")
        .set("OKTA_HOOK__ORGS__MAIN__AUTH__HEADER__SECRET", SECRET)
        .set("OKTA_HOOK__PROVIDERS__SANDBOX__KIND", "sandbox")
        .set("OKTA_HOOK__ORGS__MAIN__TEXT__SMS__PL", "Twój kod to {code}.")
        .set("OKTA_HOOK__ORGS__MAIN__TEXT__WEBOTP", "example.com");
    let english = place.run(&["preview"]).await.stdout;
    for told in ["text     Your verification code is 123456.", "@example.com #123456", "length   1 segment, GSM-7"] {
        assert!(english.contains(told), "{told}: {english}");
    }
    let polish: Value =
        serde_json::from_str(&place.run(&["preview", "--locale", "pl", "--json"]).await.stdout).expect("JSON");
    let message = &polish["steps"][1]["detail"];
    assert_eq!(message["content"], "Twój kod to 123456.\n\n@example.com #123456");
    assert_eq!(message["segments"], json!({ "parts": 1, "encoding": "UCS-2" }));
    let call = place.run(&["preview", "--channel", "voice"]).await.stdout;
    assert!(call.contains("speech   Your code is 1, 2, 3, 4, 5, 6. (en-US)") && !call.contains("segment"), "{call}");
}
