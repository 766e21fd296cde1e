//! `auth.oauth` in a configuration, and the examples of the guide to setting Okta up.

use expect_test::expect;

use crate::config::{GOOD, SECRETS, findings};

#[test]
fn access_tokens_need_an_issuer_that_can_be_trusted() {
    let auth = |lines: &str| {
        let toml = GOOD.replace("[orgs.main.auth.header]\nsecret = { env = 'HOOK_SECRET' }", "[orgs.main.auth.oauth]");
        findings(&toml.replace("[orgs.main.auth.oauth]", &format!("[orgs.main.auth.oauth]\n{lines}")), &SECRETS)
    };
    let issuer = "issuer = 'https://example.okta.com/oauth2/default'";
    assert_eq!(auth(&format!("{issuer}\nscope = 'telephony.send'")), (String::new(), String::new()));
    assert_eq!(auth("issuer = 'http://127.0.0.1:8000/oauth2/default'\nscope = 'telephony.send'").0, "");
    let (faults, warnings) = auth("issuer = 'https://example.oktapreview.com'");
    assert_eq!(faults, "");
    expect![[r#"
        orgs.main.auth.oauth.issuer: looks like Okta's org authorization server, whose tokens nobody else can verify; use a custom one, such as …/oauth2/default
        orgs.main.auth.oauth.scope: is not set: every token this issuer gives out for the audience is taken for Okta's
    "#]].assert_eq(&warnings);
    expect![[r#"
        orgs.main.auth.oauth.audience: must not be empty
        orgs.main.auth.oauth.client_id: must not be empty
        orgs.main.auth.oauth.colour: is no known key; known are issuer, audience, scope, client_id, jwks_url
        orgs.main.auth.oauth.issuer: is required, such as https://example.okta.com/oauth2/default
        orgs.main.auth.oauth.jwks_url: must be an https address
        orgs.main.auth.oauth.scope: must be one scope without spaces
    "#]]
    .assert_eq(
        &auth("audience = ''\nclient_id = ''\nscope = 'a b'\njwks_url = 'http://x.example/k'\ncolour = 'red'").0,
    );
    for issuer in [
        "http://example.okta.com/oauth2/default",
        "ftp://127.0.0.1/oauth2/default",
        "https://example.okta.com/oauth2/default?x=y",
        "https://example.okta.com/oauth2/default#x",
        "https://user:word@example.okta.com/oauth2/default",
        "example.okta.com/oauth2/default",
    ] {
        let faults = auth(&format!("issuer = '{issuer}'\nscope = 'x'")).0;
        assert_eq!(faults, "orgs.main.auth.oauth.issuer: must be an https address without query\n", "{issuer}");
    }
}

#[test]
fn the_examples_of_the_okta_guide_are_valid() {
    const PROVIDER: &str = "[providers.box]\nkind = 'sandbox'\n";
    let guide = include_str!("../../docs/okta-setup.md");
    let examples: Vec<&str> =
        guide.split("```toml\n").skip(1).map(|rest| rest.split("```").next().expect("text")).collect();
    assert_eq!(examples.len(), 4);
    for example in examples {
        let provider = if example.contains("[providers.") { "" } else { PROVIDER };
        let names = example.split("env = \"").skip(1).map(|rest| rest.split('"').next().expect("a name"));
        let variables: Vec<(&str, &str)> = names.map(|name| (name, "0123456789abcdef0123456789abcdef")).collect();
        let found = findings(&format!("allow_sandbox = true\n{example}\n{provider}"), &variables);
        assert_eq!(found, (String::new(), String::new()), "{example}");
    }
}
