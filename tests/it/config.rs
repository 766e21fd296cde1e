//! Configurations: what is accepted, and every fault of a bad one at once.

use expect_test::{Expect, expect};
use okta_telephony_hook::config::{self, DEFAULT, Sources};
use okta_telephony_hook::secret::Secret;

/// Loads a TOML text with further environment variables; gives faults and warnings as a person reads them.
pub fn findings(toml: &str, variables: &[(&str, &str)]) -> (String, String) {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("test.toml");
    std::fs::write(&path, toml).expect("written");
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let found = match config::load(&Sources { files: vec![path], variables, ..Sources::default() }) {
        Ok(loaded) => loaded.findings,
        Err(invalid) => invalid.0,
    };
    let lines = |findings: &[okta_telephony_hook::settings::Finding]| {
        findings
            .iter()
            .map(|f| format!("{f}\n"))
            .collect::<String>()
            .replace(&directory.path().display().to_string(), "")
    };
    (lines(&found.faults), lines(&found.warnings))
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "expect![…] reads better as it stands")]
fn check(toml: &str, variables: &[(&str, &str)], expected: Expect) {
    expected.assert_eq(&findings(toml, variables).0);
}

pub const GOOD: &str = "
[orgs.main.auth.header]
secret = { env = 'HOOK_SECRET' }
[providers.twilio]
kind = 'twilio'
account_sid = 'AC00000000000000000000000000000001'
auth_token = { env = 'TWILIO_TOKEN' }
sms = { from = '+15005550006' }
voice = { from = '+15005550006' }
";
pub const SECRETS: [(&str, &str); 2] = [("HOOK_SECRET", "0123456789abcdef0123456789abcdef"), ("TWILIO_TOKEN", "x")];

#[test]
fn a_complete_configuration_has_neither_faults_nor_warnings() {
    assert_eq!(findings(GOOD, &SECRETS), (String::new(), String::new()));
}

#[test]
fn an_empty_configuration_says_what_is_missing() {
    check(
        "",
        &[],
        expect![[r#"
        orgs: configure at least one, with its auth, such as orgs.main.auth.header.secret
        providers: configure at least one, such as providers.twilio, or try serve --sandbox
    "#]],
    );
}

#[test]
fn a_min_attempt_that_no_budget_leaves_is_a_fault() {
    let good = "allow_sandbox = true\n[orgs.main]\nX\n[orgs.main.auth.header]\nsecret = { env = 'S' }\n[providers.log]\nkind = 'sandbox'\n";
    let secret = [("S", "a long enough secret")];
    for fits in [
        "budget = '500ms'",
        "min_attempt = '2525ms'\nattempt_timeout = '2600ms'",
        "budget = '524ms'\nmin_attempt = '449ms'",
    ] {
        assert_eq!(findings(&good.replace('X', fits), &secret).0, "", "{fits}");
    }
    check(
        &good.replace('X', "min_attempt = '2600ms'\nattempt_timeout = '2600ms'"),
        &secret,
        expect![[r#"
        orgs.main.min_attempt: must be at most 2525ms, which a budget of 2600ms leaves after reading and writing
    "#]],
    );
}

#[test]
fn every_fault_is_told_at_once_under_its_key() {
    let toml = "
        [server]
        listen = 'nowhere'
        colour = 'red'
        max_body = 0
        max_in_flight = 0
        public_url = 'http://otp.example.com'
        [admin]
        listen = '0.0.0.0:9464'
        [log]
        level = 'loud'
        [state]
        url = 'redis://x'
        timeout = '9s'
        prefix = 'a{b}'
        max_entries = 0
        [orgs.main]
        path = 'okta'
        budget = '5s'
        attempt_timeout = '6s'
        min_attempt = '0ms'
        default_country = 'Britain'
        [orgs.main.auth.header]
        name = 'not a header'
        secret = { env = 'MISSING' }
        [orgs.main.auth.basic]
        username = 'a:b'
        password = { file = '/nonexistent/password' }
        [orgs.main.reply]
        blocked = 'maybe'
        [[orgs.main.routes]]
        when = { country = ['UK'], channel = 'fax', hour = 3 }
        send = ['nobody', 'twilio', 'twilio']
        weights = { other = 2 }
        [orgs.second]
        path = 'okta'
        [providers.twilio]
        kind = 'twilio'
        account_sid = 'AC/../x'
        base_url = 'ftp://x'
        sms = { from = '+12ab', by_country = { EN = '+15005550006' } }
        voice = { from = 'Example', repeat = 9, twiml_url = 'ftp://example.com' }
        [providers.carrier]
        kind = 'pigeon'
        [providers.nothing]
        [providers.box]
        kind = 'sandbox'
        outcomes = { x = 'accepted', '99' = 'explodes' }
    ";
    check(
        toml,
        &[],
        expect![[r#"
            admin.token: is required when admin.listen is not a loopback address
            log.level: must be one of error, warn, info, debug, trace
            orgs.main.attempt_timeout: must be above zero and at most the budget of 5s
            orgs.main.auth.basic.password: file /nonexistent/password cannot be read: entity not found
            orgs.main.auth.basic.username: must be a name without a colon or control character
            orgs.main.auth.header.name: must be a header name
            orgs.main.auth.header.secret: environment variable MISSING is not set
            orgs.main.budget: must be between 500ms and 2800ms
            orgs.main.default_country: must be a two-letter country code such as GB
            orgs.main.min_attempt: must be above zero
            orgs.main.path: must start with / and hold only letters, digits and -._~/
            orgs.main.reply.blocked: must be one of successful, error, failed
            orgs.main.routes[0].send: names nobody, which is no configured provider
            orgs.main.routes[0].send: names twilio twice; nothing is retried at the same provider
            orgs.main.routes[0].weights.other: must be one of the providers in send
            orgs.main.routes[0].when.channel: must hold sms or voice
            orgs.main.routes[0].when.country: must hold two-letter country codes such as GB
            orgs.main.routes[0].when.hour: is no known key; known are country, channel, request_type, locale
            orgs.second.auth: configure header, basic or oauth: without one, anybody could send messages at your cost
            orgs.second.path: is the same as that of orgs.main: each org needs its own
            orgs.second.path: must start with / and hold only letters, digits and -._~/
            privacy.hash_key: is required with a shared state.url: with keys of their own, replicas would not know each other's repeats
            providers.box.kind: sandbox sends nothing: set allow_sandbox = true if that is meant
            providers.box.outcomes.99: must be accepted, slow, hang or a failure kind such as unavailable
            providers.box.outcomes.x: must be keyed by the last digits of a number
            providers.carrier.kind: must be one of 8x8, sandbox, telesign, twilio, twilio-verify
            providers.nothing.kind: is required: one of 8x8, sandbox, telesign, twilio, twilio-verify
            providers.twilio: needs either auth_token, or api_key and api_secret
            providers.twilio.account_sid: must be a SID: AC and 32 hexadecimal digits
            providers.twilio.base_url: must be an http or https address without query
            providers.twilio.sms.by_country.EN: must be keyed by a two-letter country code such as GB
            providers.twilio.sms.from: must be an E.164 number, a short code or a sender name
            providers.twilio.voice.from: must be an E.164 number: calls have no other sender
            providers.twilio.voice.repeat: must be between 1 and 5
            providers.twilio.voice.twiml_url: must be an http or https address
            server.colour: is no known key; known are listen, public_url, tls, trusted_proxies, max_in_flight, max_connections, max_connections_per_address, max_body, handshake_timeout, header_timeout, body_timeout, idle_timeout, shutdown_delay, shutdown_grace
            server.listen: must be an IP address and a port, such as 127.0.0.1:8080 or [::]:8080
            server.max_body: must be between 1 and 1048576 bytes
            server.max_in_flight: must be between 1 and 1000000
            server.public_url: must be an https address without query: Okta calls no other
            state.max_entries: must be at least 1
            state.prefix: must be 1 to 64 letters, digits and -._:/
            state.timeout: must be between 5ms and 1s
        "#]],
    );
}

#[test]
fn a_shared_store_has_an_address_and_nothing_of_it_is_told() {
    let good = format!("{GOOD}\n[privacy]\nhash_key = {{ env = 'HOOK_SECRET' }}\n[state]\nurl = ");
    for url in [
        "memory",
        "redis://redis",
        "redis://127.0.0.1:6379/3",
        "redis://:canary@localhost",
        "rediss://u:canary@[::1]:1/",
    ] {
        let (faults, warnings) = findings(&format!("{good}{{ env = 'URL' }}"), &[("URL", url), SECRETS[0], SECRETS[1]]);
        assert_eq!((faults.as_str(), warnings.as_str()), ("", ""), "{url}");
    }
    for url in [
        "canary",
        "http://canary",
        "redis:canary",
        "redis://canary/a",
        "rediss://canary/#insecure",
        "redis://canary?protocol=resp3",
        "redis+unix:///canary",
    ] {
        let (faults, _) = findings(&format!("{good}'{url}'"), &SECRETS);
        let rule =
            "state.url: must be memory, or redis://[user:password@]host[:port][/database], or the same with rediss\n";
        assert_eq!(faults, rule, "{url}");
    }
    check(
        &format!("{good}{{ env = 'URL' }}"),
        &SECRETS,
        expect![[r#"
        state.url: environment variable URL is not set
    "#]],
    );
    let slow = format!("{good}'redis://redis'\ntimeout = '500ms'")
        .replace("[orgs.main.", "[orgs.main]\nbudget = '900ms'\n[orgs.main.");
    check(
        &slow,
        &SECRETS,
        expect![[r#"
        state.timeout: must leave orgs.main its min_attempt within its budget
    "#]],
    );
    let (faults, warnings) = findings(&format!("{good}'redis://u:canary@redis'\nca_file = 'x'"), &SECRETS);
    expect![[r#"
        state.url: stands in a file in clear; use { env = "NAME" } or { file = "/path" }
        state.url: is not rediss: the password travels in clear
        state.ca_file: has no effect without a rediss:// address in url
    "#]]
    .assert_eq(&(faults + &warnings));
}

#[test]
fn a_shared_store_needs_a_key_when_there_is_no_secret_to_make_one_of() {
    let store = "[state]\nurl = 'redis://127.0.0.1:6379'";
    let (faults, warnings) = findings(&format!("{GOOD}\n{store}"), &SECRETS);
    assert_eq!(faults, "");
    assert!(warnings.contains("privacy.hash_key: is not set: with a shared state.url it is made of"), "{warnings}");
    let tokens = GOOD.replace(
        "[orgs.main.auth.header]\nsecret = { env = 'HOOK_SECRET' }",
        "[orgs.main.auth.oauth]\nissuer = 'https://example.okta.com/oauth2/default'",
    );
    assert_ne!(tokens, GOOD);
    let (faults, warnings) = findings(&format!("{tokens}\n{store}"), &SECRETS);
    assert!(faults.contains("privacy.hash_key: is required with a shared state.url"), "{faults}");
    assert!(!warnings.contains("hash_key"), "{warnings}");
}

#[test]
fn what_would_stop_the_start_is_a_fault_of_the_configuration() {
    let file = tempfile::NamedTempFile::new().expect("file");
    std::fs::write(file.path(), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").expect("written");
    let store = "[state]\nurl = { env = 'STORE' }\n[privacy]\nhash_key = { env = 'STORE' }";
    let variables = [SECRETS[0], SECRETS[1], ("STORE", "rediss://store-of-all-replicas/0")];
    let broken = format!("ca_file = '{}'", file.path().display());
    for (toml, told) in [
        ("[outbound]\nca_file = '/nonexistent'".to_owned(), "outbound.ca_file: cannot be read: entity not found"),
        ("[outbound]\nca_file = '/dev/null'".to_owned(), "outbound.ca_file: holds no PEM certificate"),
        (format!("[outbound]\n{broken}"), "outbound.ca_file: holds a certificate that cannot be read"),
        (
            "[outbound]\nproxy = 'ftp://proxy'".to_owned(),
            "outbound.proxy: must be an http or https address such as http://proxy:3128",
        ),
        (
            store.replace("\n[priv", "\nca_file = '/nonexistent'\n[priv"),
            "state.ca_file: cannot be read: entity not found",
        ),
        (store.replace("\n[priv", "\nca_file = '/dev/null'\n[priv"), "state.ca_file: holds no PEM certificate"),
        (
            "[server]\nlisten = '0.0.0.0:9464'".to_owned(),
            "admin.listen: must not be the address of server.listen: operators' pages are not for everybody",
        ),
        (
            "[server]\nlisten = '[::]:9464'".to_owned(),
            "admin.listen: must not be the address of server.listen: operators' pages are not for everybody",
        ),
        (
            "[server]\npublic_url = 'https://example.com/otp'\n[orgs.other]\npath = '/otp/callbacks/x'\n\
             auth.header.secret = { env = 'STORE' }"
                .to_owned(),
            "orgs.other.path: must not be below /otp/callbacks/, which is ours",
        ),
        (
            "[server]\npublic_url = 'https://example.com/otp'\n[orgs.main.event_hook]\npath = '/otp/callbacks/x'\n\
             auth.header = { name = 'x', secret = { env = 'STORE' } }"
                .to_owned(),
            "orgs.main.event_hook.path: must not be below /otp/callbacks/, which is ours",
        ),
    ] {
        assert_eq!(findings(&format!("{GOOD}{toml}"), &variables).0, format!("{told}\n"), "{toml}");
    }
    for toml in [store, "[server]\nlisten = '127.0.0.2:9464'", "[outbound]\nproxy = 'http://user@proxy:3128'"] {
        assert_eq!(findings(&format!("{GOOD}{toml}"), &variables).0, "", "{toml}");
    }
}

#[test]
fn a_secret_is_never_quoted() {
    let canary = "canary-5005550010";
    for toml in [
        format!("[orgs.main.auth.header]\nsecret = '{canary}"),
        format!("[orgs.main.auth.header]\nsecret = {canary}"),
        format!("[orgs.main.auth.header]\nsecret = ['{canary}']"),
        format!("[orgs.main.auth.header]\nsecret = {{ text = '{canary}' }}"),
        format!("[orgs.main.auth]\nheader = '{canary}'"),
        "[orgs.main.auth.header]\nsecret = 5005550010".to_owned(),
        "[providers.t]\nkind = 'twilio'\nauth_token = 5005550010.5".to_owned(),
        format!("[outbound]\nproxy = 'http://user:{canary}@127.0.0.1:99999'"),
        format!("[outbound]\nproxy = 'http://user:{canary}, expected {canary}@'"),
        format!("[providers.t]\nkind = 'twilio'\nbase_url = '//user:{canary}@example.com'"),
        format!("[providers.t]\nkind = 'twilio'\nbase_url = 'https://user:{canary}@example.com'"),
        format!("[server]\npublic_url = '{canary}'"),
        format!("[server]\npublic_url = 'https://user:{canary}@example.com'"),
        format!("[server]\nlisten = '{canary}'"),
    ] {
        let (faults, warnings) = findings(&toml, &[]);
        assert!(!faults.is_empty(), "{toml}");
        assert!(!faults.contains("5005550010") && !warnings.contains("5005550010"), "{toml}: {faults}{warnings}");
    }
    check(
        &format!("{GOOD}[server]\npublic_url = 'https://u:p@x.example'\n[outbound]\nproxy = 'http://u:p@x:99999'"),
        &SECRETS,
        expect![[r#"
            outbound.proxy: invalid port number
            server.public_url: must hold no user and no password: it is told to providers
        "#]],
    );
    let (faults, warnings) = findings(&format!("{GOOD}[outbound]\nproxy = 'http://u:p@proxy:3128'"), &SECRETS);
    let told =
        "outbound.proxy: holds a password that stands in a file in clear; set OKTA_HOOK__OUTBOUND__PROXY instead\n";
    assert_eq!((faults.as_str(), warnings.as_str()), ("", told));
}

#[test]
fn an_empty_secret_does_not_open_the_door() {
    check(
        GOOD,
        &[("HOOK_SECRET", "  "), ("TWILIO_TOKEN", "")],
        expect![[r#"
        orgs.main.auth.header.secret: environment variable HOOK_SECRET is empty
        providers.twilio.auth_token: environment variable TWILIO_TOKEN is empty
    "#]],
    );
    check(
        &GOOD.replace("{ env = 'HOOK_SECRET' }", "' '"),
        &SECRETS,
        expect![[r#"
        orgs.main.auth.header.secret: it is empty
    "#]],
    );
    let overridden = [("OKTA_HOOK__ORGS__MAIN__AUTH__HEADER__SECRET", ""), SECRETS[0], SECRETS[1]];
    assert_eq!(findings(GOOD, &overridden).0, "", "an empty variable is no variable");
}

#[test]
fn doubtful_things_are_warned_of() {
    let toml = "
        [orgs.main.auth.header]
        secret = 'short'
        [[orgs.main.routes]]
        send = ['twilio']
        [[orgs.main.routes]]
        when = { country = ['GB'] }
        send = ['twilio']
        [providers.twilio]
        kind = 'twilio'
        account_sid = 'AC1'
        api_key = 'SK00000000000000000000000000000001'
        api_secret = 'x'
        base_url = 'http://example.com'
        voice = { from = '+15005550006', twiml_url = 'https://example.com' }
    ";
    let (faults, warnings) = findings(toml, &[]);
    assert_eq!(faults, "");
    let mut warnings: Vec<&str> = warnings.lines().collect();
    warnings.sort_unstable();
    expect![[r#"
        orgs.main.auth.header.secret: is shorter than 32 characters and can be guessed; use 32 random bytes
        orgs.main.auth.header.secret: stands in a file in clear; use { env = "NAME" } or { file = "/path" }
        orgs.main.routes: nobody delivers sms: Okta gets an error for every such request
        orgs.main.routes[1]: can never be reached: routes[0] comes first and takes all of it
        providers.twilio.account_sid: does not look like a SID: AC and 32 hexadecimal digits
        providers.twilio.api_secret: stands in a file in clear; use { env = "NAME" } or { file = "/path" }
        providers.twilio.base_url: is not https: codes and credentials travel in clear
        providers.twilio.voice.twiml_url: puts the code in a URL, which Twilio and proxies may log; leave it out to send inline TwiML"#]].assert_eq(&warnings.join("\n"));
}

#[test]
fn a_public_url_in_clear_is_one_of_this_machine_for_tests() {
    let told = "server.public_url: is not https: reports would come in clear, so it is for tests only\n";
    for host in ["127.0.0.1:18080", "127.8.8.8", "[::1]:18080", "localhost:18080", "LOCALHOST"] {
        let found = findings(&format!("{GOOD}[server]\npublic_url = 'http://{host}'"), &SECRETS);
        assert_eq!(found, (String::new(), told.to_owned()), "{host}");
        let found = findings(&format!("{GOOD}[server]\npublic_url = 'https://{host}'"), &SECRETS);
        assert_eq!(found, (String::new(), String::new()), "{host}");
    }
    let rule = "server.public_url: must be an https address without query: Okta calls no other\n";
    for url in [
        "http://otp.example.com",
        "http://localhost.example.com",
        "http://10.0.0.1",
        "http://0.0.0.0:18080",
        "http://127.0.0.1/?a=b",
        "ftp://127.0.0.1",
    ] {
        let found = findings(&format!("{GOOD}[server]\npublic_url = '{url}'"), &SECRETS);
        assert_eq!(found, (rule.to_owned(), String::new()), "{url}");
    }
}

#[test]
fn what_would_never_be_heard_of_a_message_is_warned_of() {
    let telesign = "[providers.t]\nkind = 'telesign'\ncustomer_id = '11111111-2222-3333-4444-555555555555'\n\
                    api_key = { env = 'KEY' }\n";
    let eight = "[providers.e]\nkind = '8x8'\nsubaccount_id = 'acme'\napi_key = { env = 'KEY' }\nsms.track = true\n";
    let event_hook = "[orgs.main.event_hook.auth.header]\nsecret = { env = 'EVENT_SECRET' }\n";
    let port =
        "providers.t: takes no server.public_url with a port other than 443: no delivery reports are asked for\n";
    let track = "providers.e.sms.track: has no effect without an event_hook in any org\n";
    let at = |port: &str| format!("[server]\npublic_url = 'https://otp.example.com{port}'\n");
    for (more, expected) in [
        (format!("{}{telesign}", at("")), ""),
        (format!("{}{telesign}", at(":8443")), port),
        (eight.to_owned(), track),
        (format!("{eight}{event_hook}"), ""),
    ] {
        let own = [("KEY", "bm90IGEga2V5IGF0IGFsbA=="), ("EVENT_SECRET", "fedcba9876543210fedcba9876543210")];
        let environment = [&SECRETS[..], &own].concat();
        let found = findings(&format!("{GOOD}{more}"), &environment);
        assert_eq!(found, (String::new(), expected.to_owned()), "{more}");
    }
}

#[test]
fn routes_that_leave_somebody_out_or_are_never_reached_are_warned_of() {
    let only_sms = "[providers.texts]\nkind = 'twilio'\naccount_sid = 'AC00000000000000000000000000000001'\n\
                    auth_token = { env = 'TWILIO_TOKEN' }\nsms = { from = '+15005550006' }\n";
    let check = |routes: &[&str], expected: &str| {
        let routes: String = routes.iter().map(|r| format!("[[orgs.main.routes]]\n{r}\n")).collect();
        assert_eq!(findings(&format!("{GOOD}{only_sms}{routes}"), &SECRETS), (String::new(), expected.to_owned()));
    };
    let all = "send = ['twilio']";
    let warning = "orgs.main.routes: nobody delivers voice: Okta gets an error for every such request\n";
    check(&["when = { channel = 'voice' }\nsend = ['texts']", all], warning);
    check(
        &["send = ['texts']", "when = { channel = 'voice' }\nsend = ['twilio']"],
        &format!("orgs.main.routes[1]: can never be reached: routes[0] comes first and takes all of it\n{warning}"),
    );
    check(
        &["when = { country = 'GB' }\nsend = ['texts']", all],
        "orgs.main.routes[0]: takes voice and has no provider for it: Okta gets an error for such requests\n",
    );
    check(&["when = { country = 'GB', channel = 'sms' }\nsend = ['texts']", all], "");
    let unreached = "orgs.main.routes[1]: can never be reached: routes[0] comes first and takes all of it\n";
    for (first, second, expected) in [
        ("en-*", "en-GB", unreached),
        ("en-*", "en", unreached),
        ("en-*", "en-gb-*", unreached),
        ("en-GB", "en-*", ""),
        ("en", "en-*", ""),
        ("en-*", "fr", ""),
    ] {
        let [first, second] = [first, second].map(|l| format!("when = {{ locale = ['{l}'] }}\nsend = ['twilio']"));
        check(&[&first, &second, all], expected);
    }
    check(
        &["send = ['twilio', 'texts']\nweights = { texts = 3 }"],
        "orgs.main.routes[0].weights: has no effect without strategy = \"weighted\"\n",
    );
}

#[test]
fn a_variable_and_one_within_it_are_not_both_taken() {
    let variables = [
        ("OKTA_HOOK__PROVIDERS__TWILIO__AUTH_TOKEN", "canary"),
        ("OKTA_HOOK__PROVIDERS__TWILIO__AUTH_TOKEN__ENV", "TWILIO_TOKEN"),
        ("OKTA_HOOK__SERVER__MAX_BODY", "2048"),
        ("OKTA_HOOK__ADMIN__TOKEN", ""),
        ("OKTA_HOOK__ADMIN__TOKEN__ENV", "HOOK_SECRET"),
        SECRETS[0],
        SECRETS[1],
    ];
    check(
        GOOD,
        &variables,
        expect![[r#"
            providers.twilio.auth_token: has a value, so OKTA_HOOK__PROVIDERS__TWILIO__AUTH_TOKEN__ENV cannot be set too
        "#]],
    );
}

#[test]
fn unknown_keys_are_told_with_all_known_ones() {
    let (faults, _) =
        findings(&format!("colour = 1\n{GOOD}colour = 1\n[providers.twilio.limits]\ncolour = 1"), &SECRETS);
    let known = |key: &str| faults.lines().find_map(|l| l.strip_prefix(key)).unwrap_or_default().to_owned();
    assert!(known("colour: is no known key; known are ").ends_with(", orgs, providers"), "{faults}");
    assert!(known("providers.twilio.colour: is no known key; known are ").ends_with(", limits"), "{faults}");
    assert_eq!(known("providers.twilio.limits.colour: is no known key; "), "known are max_in_flight or max_per_second");
}

#[test]
fn later_places_win_over_earlier_ones() {
    let directory = tempfile::tempdir().expect("directory");
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("directory");
        std::fs::write(&path, text).expect("written");
        path
    };
    let first = write(
        "first.toml",
        &format!("{GOOD}\n[server]\nlisten = '127.0.0.1:1'\nmax_body = 2000\n[log]\nlevel = 'warn'"),
    );
    let second = write("second.toml", "[server]\nlisten = '127.0.0.1:2'\nmax_body = 3000");
    write("config/local.toml", "[server]\nmax_in_flight = 7");
    write(
        ".env",
        "TWILIO_TOKEN=from-file\nHOOK_SECRET=0123456789abcdef\nOKTA_HOOK__SERVER__MAX_BODY=4000\nOKTA_HOOK__LOG__LEVEL=error\n",
    );
    let variables = vec![("OKTA_HOOK__SERVER__MAX_BODY".to_owned(), "5000".to_owned())];
    let sources = Sources {
        files: vec![first, second],
        variables,
        directory: Some(directory.path().into()),
        ..Sources::default()
    };
    let config = config::load(&sources).map_err(|e| e.0.faults).expect("valid").config;
    assert_eq!(config.server.listen.port(), 2);
    assert_eq!(config.server.max_body, 5000);
    assert_eq!(config.server.max_in_flight, 1000, "config/local.toml is for when no --config is given");
    assert_eq!(format!("{:?}", config.log.level), "Error");

    let sources = Sources { files: Vec::new(), ..sources };
    let faults = config::load(&sources).expect_err("no org there").0.faults;
    assert_eq!(faults.len(), 2, "{faults:?}");
}

#[test]
fn the_default_file_says_what_the_code_does() {
    let read = |toml: &str| -> config::Settings {
        let file = ::config::File::from_str(toml, ::config::FileFormat::Toml);
        ::config::Config::builder().add_source(file).build().and_then(|c| c.try_deserialize()).expect("readable")
    };
    assert_eq!(format!("{:?}", read(DEFAULT)), format!("{:?}", config::Settings::default()));
}

#[test]
fn the_sandbox_is_refused_unless_it_is_meant() {
    let toml = format!("{}\n[providers.box]\nkind = 'sandbox'", GOOD);
    check(
        &toml,
        &SECRETS,
        expect![[r#"
        providers.box.kind: sandbox sends nothing: set allow_sandbox = true if that is meant
    "#]],
    );
    assert_eq!(findings(&format!("allow_sandbox = true\n{toml}"), &SECRETS).0, "");
    assert_eq!(findings(&format!("{toml}\nallow_sandbox = true"), &SECRETS).0, "", "in its own table");
}

#[test]
fn more_time_may_be_asked_for_an_attempt_than_one_may_take() {
    assert_eq!(findings(&format!("orgs.main.min_attempt = '1500ms'\n{GOOD}"), &SECRETS).0, "");
}

#[test]
fn a_sandbox_takes_nothing_of_a_deployment_that_others_would_notice() {
    let toml = format!(
        "{GOOD}
        [orgs.main.okta]\nurl = 'https://example.okta.com'\napi_token = '00token'
        [orgs.main.event_hook.auth.header]\nname = 'x-okta-events'\nsecret = 'an-event-hook-secret-0123'
        [privacy]\nhash_key = 'a key that replicas share'\n[state]\nurl = 'redis://127.0.0.1:6379'"
    );
    let sandbox = |more: &str, sandbox_secret: Option<Secret>| {
        let toml = format!("{toml}{more}");
        let file = tempfile::Builder::new().suffix(".toml").tempfile().expect("file");
        std::fs::write(file.path(), &toml).expect("written");
        let variables = SECRETS.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let sources = Sources { files: vec![file.path().to_owned()], variables, sandbox_secret, ..Sources::default() };
        config::load(&sources).map(|loaded| loaded.config).map_err(|invalid| format!("{:?}", invalid.0))
    };
    let real = sandbox("", None).expect("valid");
    assert!(real.state.is_shared() && real.orgs[0].event_hook.is_some() && real.orgs[0].okta.is_some());
    let secret = || Secret::new("0123456789abcdef0123456789abcdef");
    let played = sandbox("", secret()).expect("valid");
    assert!(!played.state.is_shared(), "its counters and its agenda are its own");
    let org = &played.orgs[0];
    assert!(org.event_hook.is_none(), "only the generated secret admits");
    assert!(org.okta.is_none());
    assert_eq!(played.providers.keys().collect::<Vec<_>>(), ["sandbox"]);

    let own = "\n[providers.b]\nkind = 'sandbox'\n[providers.a]\nkind = 'sandbox'\n";
    let routes = |send: &str| format!("{own}[[orgs.main.routes]]\nname = 'own'\nsend = {send}\n");
    for (send, route) in
        [("['b', 'a']", "own"), ("'b,a'", "own"), ("['b', 'twilio']", "default"), ("'twilio'", "default")]
    {
        let played = sandbox(&routes(send), secret()).expect("valid");
        assert_eq!(played.providers.keys().collect::<Vec<_>>(), ["a", "b"], "its own, and nobody who sends");
        let routes = played.orgs[0].router.describe();
        assert!(routes[0].starts_with(route), "{send}: {routes:?}");
    }
}

#[test]
fn a_list_may_be_one_text_with_commas() {
    let route = "\n[[orgs.main.routes]]\nwhen = { country = 'GB, ie', channel = 'sms,voice' }\nsend = 'twilio'\n";
    assert_eq!(findings(&format!("{GOOD}{route}"), &SECRETS).0, "");
}

#[test]
fn a_secret_that_cannot_be_read_hides_no_other_fault() {
    let org = "[orgs.main.auth.header]\nsecret = '0123456789abcdef0123456789abcdef'\n";
    let missing = "{ env = 'MISSING' }";
    check(
        &format!(
            "{org}[providers.a]\nkind = 'twilio-verify'\naccount_sid = {missing}\nauth_token = {missing}\n\
             service_sid = {missing}\ntemplate_sid = {missing}\nchannels = ['fax']\ntags = {{ '' = '' }}\n\
             [providers.b]\nkind = 'telesign'\ncustomer_id = {missing}\napi_key = {missing}\n\
             previous_api_key = {missing}\nchannels = ['fax']\nsender_id = ''\n"
        ),
        &[],
        expect![[r#"
            providers.a.account_sid: environment variable MISSING is not set
            providers.a.auth_token: environment variable MISSING is not set
            providers.a.channels: must be sms, voice or both
            providers.a.service_sid: environment variable MISSING is not set
            providers.a.tags.: key and value must have at most 128 characters, the key at least one
            providers.a.template_sid: environment variable MISSING is not set
            providers.b.api_key: environment variable MISSING is not set
            providers.b.channels: must be sms, voice or both
            providers.b.customer_id: environment variable MISSING is not set
            providers.b.previous_api_key: environment variable MISSING is not set
            providers.b.sender_id: must not be empty
        "#]],
    );
}

#[test]
fn a_variable_may_hold_a_table_as_toml_writes_it() {
    let variables = |secret: &'static str| {
        let pairs = [
            ("OKTA_HOOK__ORGS__MAIN__ROUTES", "[{ name = 'all', when = { channel = 'sms' }, send = ['twilio'] }]"),
            ("OKTA_HOOK__ORGS__MAIN__AFTER_UNCONFIRMED", "{ sms = 'stop' }"),
            ("OKTA_HOOK__ORGS__MAIN__AUTH__HEADER__SECRET", secret),
            ("OKTA_HOOK__PROVIDERS__TWILIO__KIND", "twilio"),
            ("OKTA_HOOK__PROVIDERS__TWILIO__ACCOUNT_SID", "AC00000000000000000000000000000001"),
            ("OKTA_HOOK__PROVIDERS__TWILIO__AUTH_TOKEN", "{not a table, but a token}"),
            ("OKTA_HOOK__PROVIDERS__TWILIO__SMS", "\n{ from = '+15005550006', by_country = { GB = '+447400123456' } }"),
        ];
        pairs.into_iter().chain(SECRETS).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let load = |secret| config::load(&Sources { variables: variables(secret), ..Sources::default() });
    let config = load("{ env = 'HOOK_SECRET' }").expect("valid").config;
    let routes = config.orgs[0].router.describe();
    assert!(routes.len() == 1 && routes[0] == "all: channel sms: sms: twilio", "{routes:?}");
    let (_, secret) = config.orgs[0].authenticate.current().expect("a header");
    assert_eq!(secret.expose(), SECRETS[0].1, "not the words in braces");
    // Nobody's secret is a table: this is meant to be one, and names nothing.
    let faults = load("{ envv = 'HOOK_SECRET' }").expect_err("a fault").0.faults;
    assert!(faults.iter().any(|f| f.to_string().starts_with("orgs.main.auth.header.secret")), "{faults:?}");
}

const TEXT: &str = "
[orgs.main.text]
sms = { default = 'Your Example code is {code}.', fr = 'Votre code Example : {code} ({minutes} min)', 'fr-CA' = '{code}' }
voice = { default = 'Your Example code is {code}.', de = 'Ihr Code von Example lautet {code}.' }
voice_language = 'en-GB'
webotp = 'login.example.com'
[orgs.main.text.by_request_type.password-reset]
sms = 'Reset with {code}, within {minutes} minutes.'
voice = { fr-CA = 'Votre code est {code}.' }
";

#[test]
fn own_texts_are_taken_from_files_and_from_the_environment() {
    assert_eq!(findings(&format!("{GOOD}{TEXT}"), &SECRETS), (String::new(), String::new()));
    let variables = [
        ("OKTA_HOOK__ORGS__MAIN__TEXT__SMS__FR_CA", "Votre code : {code}"),
        ("OKTA_HOOK__ORGS__MAIN__TEXT__WEBOTP", "example.com"),
        ("OKTA_HOOK__ORGS__MAIN__TEXT__BY_REQUEST_TYPE__PASSWORD_RESET__SMS__DEFAULT", "Reset: {code}"),
        SECRETS[0],
        SECRETS[1],
    ];
    assert_eq!(findings(GOOD, &variables), (String::new(), String::new()));
}

#[test]
fn faults_of_own_texts_are_told_under_their_keys() {
    let long = "x".repeat(1589);
    let toml = format!(
        "{GOOD}
        [orgs.main.text]
        sms = {{ default = 'Your code', fr = '{{code}} {{nom}}', de = '{{code', it = \"{{code}}\\u0007\", es = '{long}{{code}}' }}
        voice = {{ default = '{{otp}}', fr = '{{code}}{long}' }}
        voice_language = 'English'
        webotp = 'https://example.com'
        colour = 'red'
        [orgs.main.text.by_request_type.password-reset]
        sms = 'Reset'
        email = 'x'
        [orgs.main.text.by_request_type.account-unlock]
        sms = {{ '!' = '{{code}}' }}
        voice = 5
    "
    );
    check(
        &toml,
        &SECRETS,
        expect![[r#"
        orgs.main.text.by_request_type.account-unlock.sms: must be keyed by locales such as fr or fr-CA, or default
        orgs.main.text.by_request_type.account-unlock.voice: must be a text, or a table of texts by locale
        orgs.main.text.by_request_type.password-reset.email: is no known key; known are sms or voice
        orgs.main.text.by_request_type.password-reset.sms.default: must hold {code}
        orgs.main.text.colour: is no known key; known are sms, voice, voice_language, webotp, by_request_type
        orgs.main.text.sms.de: must hold no braces but those of {code} and {minutes}
        orgs.main.text.sms.de: must hold {code}
        orgs.main.text.sms.default: must hold {code}
        orgs.main.text.sms.es: must have at most 1600 characters with the longest code filled in
        orgs.main.text.sms.fr: must hold no braces but those of {code} and {minutes}
        orgs.main.text.sms.it: must hold no control characters but line feeds
        orgs.main.text.voice.default: must hold no braces but those of {code} and {minutes}
        orgs.main.text.voice.default: must hold {code}
        orgs.main.text.voice.fr: must have at most 1600 characters with the longest code filled in
        orgs.main.text.voice_language: must be a language tag such as en-US
        orgs.main.text.webotp: must be a host name without scheme, such as example.com
    "#]],
    );
}

#[test]
fn what_makes_a_text_dear_is_warned_of() {
    let toml = format!(
        "{GOOD}
        [orgs.main.text]
        webotp = 'example.com'
        voice = {{ hu = 'Az ön kódja {{code}}.', ja = '{{code}}' }}
        [orgs.main.text.sms]
        default = 'Your Example code is {{code}}. €£{{minutes}}[]'
        de = 'Ihr Code ist {{code}}. {}'
        fr = 'L’accès : {{code}}'
        ja = '認証コードは {{code}} です。{}'
        [orgs.main.text.by_request_type.pasword-reset]
        sms = {{ es = 'Su código es {{code}}.' }}
    ",
        "x".repeat(118),
        "これは長い文です。".repeat(4),
    );
    let (faults, warnings) = findings(&toml, &SECRETS);
    assert_eq!(faults, "");
    expect![[r#"
        orgs.main.text.sms.de: takes 2 segments, GSM-7, each charged: one has 160 characters
        orgs.main.text.sms.fr: holds '’', which GSM-7 lacks: a segment takes 70 characters, not 160
        orgs.main.text.sms.ja: holds '認', which GSM-7 lacks: a segment takes 70 characters, not 160
        orgs.main.text.sms.ja: takes 2 segments, UCS-2, each charged: one has 70 characters
        orgs.main.text.voice.hu: names a language without its region, and voices are chosen with one, such as hu-HU
        orgs.main.text.by_request_type.pasword-reset: is none of the request types known of Okta: pre-enrollment, mfa-verification, account-unlock, password-reset
        orgs.main.text.by_request_type.pasword-reset.sms.es: holds 'ó', which GSM-7 lacks: a segment takes 70 characters, not 160
    "#]].assert_eq(&warnings);
}

#[test]
fn the_example_is_a_configuration_that_starts() {
    let example = include_str!("../../config/example.toml");
    let variables: Vec<(String, String)> = example
        .split("env = \"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .map(|name| (name.to_owned(), "0123456789abcdef0123456789abcdef".to_owned()))
        .collect();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(findings(example, &variables), (String::new(), String::new()));
}

#[test]
fn every_fault_of_a_guard_is_told_under_its_key() {
    let guard = "
        [orgs.main.guard]
        mode = 'loud'
        voice_share = 0
        colour = 'red'
        countries = { mode = 'never', allow = ['GB', 'GBR'], deny = 'GB,XX', deny_prefixes = ['0044'], allow_prefixes = '+44x' }
        per_phone = { per_10_minutes = 0 }
        per_user = { phones_per_day = 0, per_hour = 3 }
        per_ip = { per_10_minutes = -1 }
        per_prefix = { numbers = 2, run = 1, block = '10s', max_block = '1000h' }
        per_country = { floor = 0, factor = 0 }
        provider_fraud = { block = '30 days' }
        spend = { per_hour_micros = 0, sms_micros_by_country = { EN = 1 }, never_stop = ['UK'] }
    ";
    check(
        &format!("{GOOD}{guard}"),
        &SECRETS,
        expect![[r#"
            orgs.main.guard.colour: is no known key; known are mode, countries, per_phone, per_user, per_ip, per_prefix, per_country, provider_fraud, spend, voice_share
            orgs.main.guard.countries.allow: must hold two-letter country codes such as GB
            orgs.main.guard.countries.allow_prefixes: must hold beginnings of numbers such as +4470
            orgs.main.guard.countries.deny: must hold two-letter country codes such as GB
            orgs.main.guard.countries.deny_prefixes: must hold beginnings of numbers such as +4470
            orgs.main.guard.countries.mode: must be one of off, observe, enforce
            orgs.main.guard.mode: must be one of off, observe, enforce
            orgs.main.guard.per_country.factor: must be at least 1
            orgs.main.guard.per_country.floor: must be at least 1
            orgs.main.guard.per_ip.per_10_minutes: must be a whole number, not below 0
            orgs.main.guard.per_phone.per_10_minutes: must be at least 1
            orgs.main.guard.per_prefix.block: must be between 60s and 604800s
            orgs.main.guard.per_prefix.max_block: must be between 10s and 604800s
            orgs.main.guard.per_prefix.numbers: must be at least 3
            orgs.main.guard.per_prefix.run: must be at least 3
            orgs.main.guard.per_user.per_hour: is no known key; known are mode, per_10_minutes, per_day, phones_per_day
            orgs.main.guard.per_user.phones_per_day: must be at least 1
            orgs.main.guard.provider_fraud.block: must be between 60s and 604800s
            orgs.main.guard.spend.never_stop: must hold two-letter country codes such as GB
            orgs.main.guard.spend.per_hour_micros: must be above zero; a switch stops everything
            orgs.main.guard.spend.sms_micros_by_country: must hold two-letter country codes such as GB
            orgs.main.guard.voice_share: must be at least 1
        "#]],
    );
}

#[test]
fn a_guard_can_be_set_in_the_environment_and_says_what_is_doubtful() {
    let variables = [
        ("OKTA_HOOK__ORGS__MAIN__GUARD__MODE", "observe"),
        ("OKTA_HOOK__ORGS__MAIN__GUARD__COUNTRIES__ALLOW", "GB, ie"),
        ("OKTA_HOOK__ORGS__MAIN__GUARD__COUNTRIES__ENROLLMENT_ALLOW", "US"),
        ("OKTA_HOOK__ORGS__MAIN__GUARD__PER_PHONE__PER_10_MINUTES", "50"),
        ("OKTA_HOOK__ORGS__MAIN__GUARD__SPEND__SMS_MICROS_BY_COUNTRY__GB", "40000"),
        ("OKTA_HOOK__ORGS__MAIN__GUARD__SPEND__PER_DAY_MICROS", "5000000"),
    ];
    let (faults, warnings) = findings(GOOD, &[&SECRETS[..], &variables[..]].concat());
    assert_eq!(faults, "");
    expect![[r#"
        orgs.main.guard.per_phone: has a limit that a shorter time already allows more than
        orgs.main.guard.countries.enrollment_allow: holds a country that is not in allow: nothing is sent there
    "#]]
    .assert_eq(&warnings);
}

#[test]
fn a_sid_of_an_odd_shape_is_warned_of_and_one_that_would_change_its_path_is_a_fault() {
    let verify = "[providers.verify]\nkind = 'twilio-verify'\napi_key = 'SK00000000000000000000000000000001'\n\
                  api_secret = { env = 'TWILIO_TOKEN' }\n";
    let with = |account: &str, service: &str| {
        let good = GOOD.replace("AC00000000000000000000000000000001", account);
        findings(&format!("{good}{verify}service_sid = '{service}'"), &SECRETS)
    };
    let (faults, warnings) = with("test-account", "VA_test.1~");
    assert_eq!(faults, "");
    assert_eq!(
        warnings,
        "providers.twilio.account_sid: does not look like a SID: AC and 32 hexadecimal digits\n\
         providers.verify.service_sid: does not look like a SID: VA and 32 hexadecimal digits\n"
    );
    for odd in ["", ".", "..", "a/b", "a b", " ", "a%2Fb", "a?b", "a#b", "a:b", "a\\b", "é", "a\tb"] {
        let (faults, warnings) = with(odd, odd);
        assert_eq!((faults.lines().count(), warnings.as_str()), (2, ""), "{odd:?}: {faults}");
    }
}
