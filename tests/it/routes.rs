//! Routes: which one a message takes, and what `check-config` says of those that none can take or that cannot be meant.

use okta_telephony_hook::okta::decode;
use serde_json::{Value, json};

use crate::config::{GOOD, SECRETS, findings};
use crate::support::okta;
use crate::support::stub::Stage;

/// Faults and warnings of one org's routes.
#[track_caller]
fn routes(whens: &[&str], expected: &[&str]) {
    let table = |when: &&str| format!("[[orgs.main.routes]]\nwhen = {{ {when} }}\nsend = ['twilio']\n");
    let routes: String = whens.iter().map(table).collect();
    let (faults, warnings) = findings(&format!("{GOOD}{routes}[[orgs.main.routes]]\nsend = ['twilio']\n"), &SECRETS);
    assert_eq!(faults, "", "{whens:?}");
    assert_eq!(warnings.lines().collect::<Vec<_>>(), expected, "{whens:?}");
}

#[test]
fn a_route_that_others_take_from_together_is_warned_of() {
    let unreached = |place: usize, names: &str| {
        format!("orgs.main.routes[{place}]: can never be reached: {names} come first and take all of it")
    };
    let alone = "orgs.main.routes[1]: can never be reached: routes[0] comes first and takes all of it";
    routes(&["channel = ['sms', 'voice']", "country = ['GB']"], &[alone, &alone.replace("routes[1]", "routes[2]")]);
    let two = unreached(2, "routes[0], routes[1]");
    routes(
        &["channel = 'sms'", "channel = 'voice'", "country = ['GB']"],
        &[&two, &unreached(3, "routes[0], routes[1]")],
    );
    routes(&["country = ['GB']", "country = ['FR']", "country = ['GB', 'FR']"], &[&two]);
    let by_channel = ["country = ['GB'], channel = 'sms'", "country = ['GB'], channel = 'voice'"];
    routes(&[by_channel[0], by_channel[1], "country = ['GB']"], &[&two]);
    let types = ["request_type = ['password-reset']", "request_type = ['mfa-verification'], channel = 'sms'"];
    let both = "request_type = ['password-reset', 'mfa-verification']";
    routes(&[types[0], types[1], &format!("{both}, channel = 'sms', locale = ['fr']")], &[&two]);
    // Something is left for the last one.
    routes(&[types[0], types[1], both], &[]);
    routes(&["country = ['GB']", "country = ['FR']", "country = ['GB', 'FR', 'DE']"], &[]);
    routes(&["country = ['GB']", "country = ['JE']"], &[alone]);
    routes(&["country = ['JE']", "country = ['GB']"], &[]);
    routes(&[by_channel[0], "country = ['GB'], channel = 'voice', locale = ['fr']", "country = ['GB']"], &[]);
    routes(&["locale = ['fr-*']", "locale = ['en-*']", "country = ['GB']"], &[]);
}

#[test]
fn a_route_for_any_locale_has_no_condition() {
    let unreached = "orgs.main.routes[1]: can never be reached: routes[0] comes first and takes all of it";
    routes(&["locale = '*'"], &[unreached]);
    routes(&["locale = ['fr', '*'], channel = 'sms'"], &[]);
    let faults = findings(&format!("{GOOD}[[orgs.main.routes]]\nwhen.locale = '*-x'\nsend = ['twilio']\n"), &SECRETS).0;
    assert_eq!(faults, "orgs.main.routes[0].when.locale: must hold locales such as fr, fr-CA, fr-* or *\n");
}

#[test]
fn weights_that_leave_nobody_to_draw_are_a_fault() {
    let fault = "orgs.main.routes[0].weights: must not all be 0: there would be nobody to draw\n";
    for (rest, expected) in [
        ("strategy = 'weighted'\nweights = { twilio = 0 }", fault),
        ("strategy = 'weighted'\nweights = { twilio = 1 }", ""),
        ("strategy = 'weighted'", ""),
        ("weights = { twilio = 0 }", ""),
    ] {
        let (faults, _) = findings(&format!("{GOOD}[[orgs.main.routes]]\nsend = ['twilio']\n{rest}\n"), &SECRETS);
        assert_eq!(faults, expected, "{rest}");
    }
}

#[tokio::test]
async fn a_message_takes_the_first_route_all_of_whose_conditions_it_meets() {
    let route = |when: &str, send: &str| format!("[[orgs.main.routes]]\nwhen = {{ {when} }}\nsend = ['{send}']\n");
    let routes = [
        ("country = ['GB', 'FR'], channel = 'sms'", "a"),
        ("country = 'GB'", "b"),
        ("request_type = 'password-reset'", "c"),
        ("locale = ['fr-*', 'de-AT']", "d"),
    ];
    let routes: String = routes.iter().map(|(when, send)| route(when, send)).collect();
    let last = "[[orgs.main.routes]]\nsend = ['e']\n";
    let stage = Stage::new(&format!("{routes}{last}"), &["a", "b", "c", "d", "e"].map(|name| (name, &[][..])));
    let of = |mut request: Value, kind: &str, locale: &str| {
        request["requestType"] = format!("com.okta.user.telephony.{kind}").into();
        request["data"]["messageProfile"]["locale"] = json!(locale);
        let message = decode(request.to_string().as_bytes(), None).expect("readable").message;
        stage.hook.plan(&message, None).providers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    let (us, gb, fr) = ("+15005550010", "+447400123456", "+33612345678");
    assert_eq!(of(okta::sms(gb, "482913"), "password-reset", "fr"), "a");
    assert_eq!(of(okta::sms(fr, "482913"), "mfa-verification", "en"), "a");
    assert_eq!(of(okta::sms("+447911123456", "482913"), "mfa-verification", "en"), "a", "Guernsey is of +44");
    assert_eq!(of(okta::voice(gb, "482913"), "password-reset", "fr"), "b", "another channel");
    assert_eq!(of(okta::voice(fr, "482913"), "password-reset", "fr"), "c", "another channel and another country");
    assert_eq!(of(okta::sms(us, "482913"), "password-reset", "fr-CA"), "c", "another country");
    assert_eq!(of(okta::sms(us, "482913"), "mfa-verification", "fr-CA"), "d", "another reason");
    assert_eq!(of(okta::sms(us, "482913"), "mfa-verification", "en"), "e", "another language");
    assert_eq!(of(okta::sms(us, "482913"), "mfa-verification", "de-at"), "d", "in any case");
    assert_eq!(of(okta::sms(us, "482913"), "mfa-verification", "de"), "e", "another region");
}
