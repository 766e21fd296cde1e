//! Configurations as people really type them: over several files, with slips that must not pass in silence.

use okta_telephony_hook::config::{self, Sources};

use crate::config::{GOOD, SECRETS, findings};

/// Loads layers of TOML and variables over them; gives the faults as a person reads them.
fn faults_of(layers: &[&str], variables: &[(&str, &str)]) -> String {
    let directory = tempfile::tempdir().expect("directory");
    let file = |(place, text): (usize, &&str)| {
        let path = directory.path().join(format!("{place}.toml"));
        std::fs::write(&path, text).expect("written");
        path
    };
    std::fs::write(directory.path().join("secret"), "0123456789abcdef0123456789abcdef").expect("written");
    let here = directory.path().display().to_string();
    let layers: Vec<String> = layers.iter().map(|text| text.replace("HERE", &here)).collect();
    let layers: Vec<&str> = layers.iter().map(String::as_str).collect();
    let sources = Sources {
        files: layers.iter().enumerate().map(file).collect(),
        variables: variables.iter().map(|(name, value)| ((*name).to_owned(), value.replace("HERE", &here))).collect(),
        ..Sources::default()
    };
    let faults = config::load(&sources).map(|_| Vec::new()).unwrap_or_else(|invalid| invalid.0.faults);
    faults.iter().map(|fault| format!("{fault}\n")).collect::<String>().replace(&here, "")
}

#[test]
fn a_variable_of_ours_that_is_no_text_is_a_fault_and_not_left_out() {
    let unreadable = vec!["OKTA_HOOK__ADMIN__TOKEN".to_owned()];
    let faults = config::load(&Sources { unreadable, ..Sources::default() }).expect_err("a fault").0.faults;
    assert!(faults.iter().any(|f| f.key == "OKTA_HOOK__ADMIN__TOKEN" && f.rule == "must be UTF-8 text"), "{faults:?}");
}

#[test]
fn a_later_layer_replaces_a_secret_in_whatever_form() {
    let header = |secret: &str| format!("[orgs.main.auth.header]\nsecret = {secret}\n");
    let gone = "{ env = 'NOT_SET' }";
    let base = GOOD.replace("{ env = 'HOOK_SECRET' }", gone);
    assert!(faults_of(&[&base], &SECRETS).contains("NOT_SET is not set"));
    for later in ["{ file = 'HERE/secret' }", "{ env = 'HOOK_SECRET' }", "'0123456789abcdef0123456789abcdef'"] {
        assert_eq!(faults_of(&[&base, &header(later)], &SECRETS), "", "{later}");
    }
    let by_file = base.replace(gone, "{ file = '/nonexistent' }");
    assert_eq!(faults_of(&[&by_file, &header("{ env = 'HOOK_SECRET' }")], &SECRETS), "");
    for (name, value) in [("FILE", "HERE/secret"), ("ENV", "HOOK_SECRET")] {
        let name = format!("OKTA_HOOK__ORGS__MAIN__AUTH__HEADER__SECRET__{name}");
        let variables = [SECRETS[0], SECRETS[1], (name.as_str(), value)];
        assert_eq!(faults_of(&[&base], &variables), "", "{name}");
        assert_eq!(faults_of(&[&by_file], &variables), "", "{name}");
    }
    // A token is the one secret whose key is not called like one everywhere.
    let admin = ["[admin]\ntoken = { env = 'NOT_SET' }\n", "[admin]\ntoken = { file = 'HERE/secret' }\n"];
    assert_eq!(faults_of(&[GOOD, admin[0], admin[1]], &SECRETS), "");
    let store = ["[state]\nurl = { env = 'NOT_SET' }\n", "[state]\nurl = { file = 'HERE/secret' }\n"];
    assert!(faults_of(&[GOOD, store[0], store[1]], &SECRETS).starts_with("state.url: must be memory, or "));
    // Both in one place is no override.
    let both = header("{ env = 'HOOK_SECRET', file = 'HERE/secret' }");
    assert!(faults_of(&[&base, &both], &SECRETS).contains("orgs.main.auth.header.secret: must be a text, "));
}

/// Every id that is kept beside a secret, each in a variable of its own.
const IDS: &str = "
    [orgs.main.auth.basic]
    username = { env = 'USERNAME' }
    password = { env = 'HOOK_SECRET' }
    [orgs.main.auth.oauth]
    issuer = 'https://example.okta.com/oauth2/default'
    scope = 'otp'
    client_id = { env = 'CLIENT_ID' }
    [providers.eight]
    kind = '8x8'
    api_key = 'k'
    subaccount_id = { env = 'SUBACCOUNT_ID' }
    sms = {}
    voice = { source = '+15005550006', subaccount_id = { env = 'VOICE_SUBACCOUNT_ID' } }
    [providers.telesign]
    kind = 'telesign'
    customer_id = { env = 'CUSTOMER_ID' }
    api_key = 'k'
    [providers.twilio]
    kind = 'twilio'
    account_sid = { env = 'ACCOUNT_SID' }
    api_key = { env = 'API_KEY' }
    api_secret = 's'
    sms.messaging_service_sid = { env = 'MESSAGING_SERVICE_SID' }
    [providers.verify]
    kind = 'twilio-verify'
    account_sid = { env = 'ACCOUNT_SID' }
    api_key = { env = 'API_KEY' }
    api_secret = 's'
    service_sid = { env = 'SERVICE_SID' }
    template_sid = { env = 'TEMPLATE_SID' }
";

/// The faults of these ids, from these variables.
fn faults_of_ids(ids: &[(&str, &str)]) -> String {
    faults_of(&[IDS], &[ids, &SECRETS].concat())
}

#[test]
fn an_id_that_is_kept_beside_a_secret_is_written_in_the_same_forms() {
    let ids = [
        ("ACCOUNT_SID", " AC00000000000000000000000000000001\n"),
        ("API_KEY", " SK00000000000000000000000000000001 "),
        ("CLIENT_ID", "0oa1exampleclient\n"),
        ("CUSTOMER_ID", "11111111-2222-3333-4444-555555555555\n"),
        ("MESSAGING_SERVICE_SID", "MG00000000000000000000000000000001\n"),
        ("SERVICE_SID", "VA00000000000000000000000000000001\n"),
        ("SUBACCOUNT_ID", " example_sms"),
        ("TEMPLATE_SID", "HJ00000000000000000000000000000001\n"),
        ("USERNAME", "okta\n"),
        ("VOICE_SUBACCOUNT_ID", "example_voice\n"),
    ];
    assert_eq!(faults_of_ids(&ids), "");
    let keys = |faults: &str| -> Vec<String> {
        faults.lines().map(|line| line.split(": ").next().unwrap_or_default().to_owned()).collect()
    };
    let expected = [
        "orgs.main.auth.basic.username",
        "orgs.main.auth.oauth.client_id",
        "providers.eight.subaccount_id",
        "providers.eight.voice.subaccount_id",
        "providers.telesign.customer_id",
        "providers.twilio.account_sid",
        "providers.twilio.api_key",
        "providers.twilio.sms.messaging_service_sid",
        "providers.verify.account_sid",
        "providers.verify.api_key",
        "providers.verify.service_sid",
        "providers.verify.template_sid",
    ];
    let missing = faults_of_ids(&[]);
    assert_eq!(keys(&missing), expected, "one fault for each");
    assert!(missing.lines().all(|line| line.contains(": environment variable ") && line.ends_with(" is not set")));
    // The rules are those of what is typed; a client may have any id.
    let bad = ids.map(|(name, _)| (name, "a:\u{7}/"));
    let mut broken = keys(&faults_of_ids(&bad));
    broken.insert(1, "orgs.main.auth.oauth.client_id".to_owned());
    assert_eq!(broken, expected);
}

#[test]
fn a_later_layer_replaces_an_id_in_whatever_form() {
    let account = |sid: &str| format!("[providers.twilio]\naccount_sid = {sid}\n");
    let base = GOOD.replace("'AC00000000000000000000000000000001'", "{ env = 'NOT_SET' }");
    assert_eq!(
        faults_of(&[&base], &SECRETS),
        "providers.twilio.account_sid: environment variable NOT_SET is not set\n"
    );
    for later in ["{ file = 'HERE/secret' }", "{ env = 'HOOK_SECRET' }", "'AC00000000000000000000000000000001'"] {
        assert_eq!(faults_of(&[&base, &account(later)], &SECRETS), "", "{later}");
    }
    for (name, value) in
        [("__FILE", "HERE/secret"), ("__ENV", "HOOK_SECRET"), ("", "AC00000000000000000000000000000001")]
    {
        let name = format!("OKTA_HOOK__PROVIDERS__TWILIO__ACCOUNT_SID{name}");
        assert_eq!(faults_of(&[&base], &[SECRETS[0], SECRETS[1], (name.as_str(), value)]), "", "{name}");
        assert_eq!(faults_of(&[GOOD], &[SECRETS[0], SECRETS[1], (name.as_str(), value)]), "", "{name}");
    }
    let two = account("{ env = 'HOOK_SECRET', file = 'HERE/secret' }");
    assert!(faults_of(&[GOOD, &two], &SECRETS).contains("providers.twilio.account_sid: must be a text, "));
}

#[test]
fn an_id_of_digits_alone_needs_no_quotes() {
    let eight = "[providers.e]\nkind = '8x8'\nsubaccount_id = 12345\napi_key = { env = 'TWILIO_TOKEN' }\n";
    assert_eq!(faults_of(&[GOOD, eight], &SECRETS), "");
}

#[test]
fn other_tables_are_merged_whatever_their_keys_are_called() {
    let verify = |rest: &str| {
        format!(
            "[orgs.main.auth.header]\nsecret = {{ env = 'HOOK_SECRET' }}\n[providers.secret]\nkind = 'twilio-verify'\n\
             account_sid = 'AC00000000000000000000000000000001'\nservice_sid = 'VA00000000000000000000000000000001'\n\
             auth_token = {{ env = 'TWILIO_TOKEN' }}\n{rest}"
        )
    };
    // Each of the two alone is within the limit; a tag that was lost would make it a valid configuration.
    let long = "é".repeat(129);
    let tags = |key: &str| format!("[providers.secret.tags]\n{key} = '{long}'\n");
    let faults = faults_of(&[&verify(&tags("env")), &tags("file")], &SECRETS);
    let keys: Vec<&str> = faults.lines().filter_map(|line| line.split(':').next()).collect();
    assert_eq!(keys, ["providers.secret.tags.env", "providers.secret.tags.file"]);
}

#[test]
fn every_file_that_cannot_be_read_is_told_of() {
    // What a container makes of a mount whose source is not there.
    let directory = tempfile::tempdir().expect("directory");
    std::fs::create_dir_all(directory.path().join("config/local.toml")).expect("made");
    let sources = Sources { directory: Some(directory.path().to_owned()), ..Sources::default() };
    let faults = config::load(&sources).map(drop).expect_err("a fault").0.faults;
    let told = faults.iter().map(ToString::to_string).find(|fault| fault.contains("config/local.toml"));
    assert!(told.is_some_and(|fault| fault.ends_with("cannot be read: is a directory")), "{faults:?}");

    let faults = faults_of(&["[server", "x = ", GOOD], &SECRETS);
    assert!(faults.lines().count() == 2 && faults.contains("/0.toml") && faults.contains("/1.toml"), "{faults}");
}

#[test]
fn whole_numbers_and_switches_are_what_they_are_typed_as() {
    let weighted = |weights: &str| {
        format!(
            "{GOOD}[providers.other]\nkind = 'twilio'\naccount_sid = 'AC00000000000000000000000000000001'\n\
             auth_token = {{ env = 'TWILIO_TOKEN' }}\nsms = {{ from = '+15005550006' }}\n\
             [[orgs.main.routes]]\nsend = ['twilio', 'other']\nstrategy = 'weighted'\nweights = {weights}\n"
        )
    };
    for (weights, expected) in [
        ("{ twilio = 1, other = 0 }", ""),
        (
            "{ twilio = 0.9, other = 0.1 }",
            "orgs.main.routes[0].weights.other: must be a whole number\n\
             orgs.main.routes[0].weights.twilio: must be a whole number\n",
        ),
        ("{ twilio = 0 }", ""),
    ] {
        assert_eq!(faults_of(&[&weighted(weights)], &SECRETS), expected, "{weights}");
    }
    for (value, expected) in [
        ("8", ""),
        ("'8'", ""),
        ("1.5", "must be a whole number"),
        ("true", "must be a whole number"),
        ("'on'", "must be a whole number"),
        ("'1.5'", "must be a whole number"),
        ("-1", "must be a whole number, not below 0"),
    ] {
        let expected = if expected.is_empty() { String::new() } else { format!("server.max_in_flight: {expected}\n") };
        assert_eq!(faults_of(&[GOOD, &format!("[server]\nmax_in_flight = {value}\n")], &SECRETS), expected, "{value}");
        let text = value.trim_matches('\'');
        let variables = [SECRETS[0], SECRETS[1], ("OKTA_HOOK__SERVER__MAX_IN_FLIGHT", text)];
        assert_eq!(faults_of(&[GOOD], &variables), expected, "{value}, from the environment");
    }
    assert_eq!(
        faults_of(&[GOOD, "[outbound]\nca_file = ['x']\n[orgs.main]\nlearn = 3\n"], &SECRETS),
        "orgs.main.learn: must be one of observe or enforce\noutbound.ca_file: must be a string\n"
    );
    let limits = "[providers.twilio.limits]\nmax_per_second = 5000000000\nmax_in_flight = true\n";
    assert_eq!(
        faults_of(&[&format!("allow_sandbox = 1\n{GOOD}"), limits], &SECRETS),
        "allow_sandbox: must be true or false\n\
         providers.twilio.limits.max_in_flight: must be a whole number\n\
         providers.twilio.limits.max_per_second: must be a whole number of at most 4294967295\n"
    );
    assert_eq!(faults_of(&[GOOD], &[SECRETS[0], SECRETS[1], ("OKTA_HOOK__ALLOW_SANDBOX", "yes")]), "");
    let eight = "[providers.e]\nkind = '8x8'\nsubaccount_id = 'acme'\napi_key = { env = 'TWILIO_TOKEN' }\n";
    for (value, expected) in [("1", ""), ("0.9", ""), ("true", "must be a number"), ("'fast'", "must be a number")] {
        let expected =
            if expected.is_empty() { String::new() } else { format!("providers.e.voice.speed: {expected}\n") };
        let voice = format!("{eight}voice = {{ source = '+15005550006', speed = {value} }}\n");
        assert_eq!(faults_of(&[GOOD, &voice], &SECRETS), expected, "{value}");
        let voice = format!("{eight}voice = {{ source = '+15005550006' }}\n");
        let speed = ("OKTA_HOOK__PROVIDERS__E__VOICE__SPEED", value.trim_matches('\''));
        assert_eq!(faults_of(&[GOOD, &voice], &[SECRETS[0], SECRETS[1], speed]), expected, "{value}");
    }
}

#[test]
fn a_secret_that_no_header_carries_is_a_fault_and_is_not_shown() {
    let auth = "[orgs.main.auth.header]\nsecret = { env = 'A' }\nprevious_secret = { env = 'B' }\n\
                [orgs.main.auth.basic]\nusername = \"ok\\u0000ta\"\npassword = { env = 'A' }\n\
                previous_password = { env = 'B' }\n[admin]\ntoken = { env = 'B' }\n";
    let rest = GOOD.split_once("[providers").expect("providers").1;
    let toml = format!("{auth}[providers{rest}");
    let long = "canary-of-more-than-32-characters";
    let (two_lines, control) = (format!("{long}\n{long}"), format!("{long}\u{1}{long}"));
    let faults = faults_of(&[&toml], &[("A", &two_lines), ("B", &control), SECRETS[1]]);
    let rule = "holds a line break or control character";
    let keys =
        ["basic.password", "basic.previous_password", "basic.username", "header.previous_secret", "header.secret"];
    let mut expected = format!("admin.token: {rule}\n");
    for key in keys {
        let rule = if key == "basic.username" { "must be a name without a colon or control character" } else { rule };
        expected += &format!("orgs.main.auth.{key}: {rule}\n");
    }
    assert_eq!(faults, expected);
    // A line end at the end of a file is everybody's.
    let good = (format!("{long}\r\n"), format!(" {long} é\n"));
    let variables = [("A", good.0.as_str()), ("B", good.1.as_str()), SECRETS[1]];
    assert_eq!(faults_of(&[&toml.replace("\\u0000", "")], &variables), "");
}

#[test]
fn a_header_that_http_needs_is_not_for_a_secret() {
    for name in
        ["Host", "content-length", "Transfer-Encoding", "connection", "Content-Type", "upgrade", "X-Forwarded-For"]
    {
        let toml = format!("[orgs.main.auth.header]\nname = '{name}'\n");
        let expected = "orgs.main.auth.header.name: must not be a header that HTTP or a proxy needs for itself\n";
        assert_eq!(faults_of(&[GOOD, &toml], &SECRETS), expected, "{name}");
    }
    assert_eq!(faults_of(&[GOOD, "[orgs.main.auth.header]\nname = 'X-Key'\n"], &SECRETS), "");
}

#[test]
fn a_path_that_others_rewrite_on_the_way_is_a_fault() {
    for (path, is_fine) in [
        ("/okta/telephony", true),
        ("/okta/.well-known/a..b", true),
        ("/okta/", true),
        ("/", true),
        ("//okta", false),
        ("/okta/../x", false),
        ("/okta/./x", false),
        ("/okta/..", false),
    ] {
        let event_hook = format!(
            "[orgs.main]\npath = '{path}'\n[orgs.main.event_hook]\npath = '{path}e'\nauth = {{ header = {{ secret = {{ env = 'HOOK_SECRET' }} }} }}\n"
        );
        let faults = faults_of(&[GOOD, &event_hook], &SECRETS);
        assert_eq!(!faults.contains("orgs.main.path: must not start with // "), is_fine, "{path}: {faults}");
        assert_eq!(faults.is_empty(), is_fine, "{path}: {faults}");
    }
}

#[test]
fn warnings_come_in_the_same_order_every_time() {
    let secrets = "[orgs.main.auth.basic]\nusername = 'okta'\npassword = 'one-secret-of-more-than-32-chars!'\n\
                   previous_password = 'two-secret-of-more-than-32-chars!'\n[privacy]\nhash_key = 'three-secret-of-more-than-32-chars'\n\
                   [admin]\ntoken = 'four'\n[outbound]\nproxy = 'http://u:p@proxy'\n";
    let keys = || {
        let warnings = findings(&format!("{GOOD}{secrets}"), &SECRETS).1;
        warnings.lines().filter_map(|line| Some(line.split(':').next()?.to_owned())).collect::<Vec<_>>()
    };
    let expected = [
        "admin.token",
        "orgs.main.auth.basic.password",
        "orgs.main.auth.basic.previous_password",
        "outbound.proxy",
        "privacy.hash_key",
    ];
    for _ in 0..20 {
        assert_eq!(keys(), expected);
    }
}

/// Loads GOOD in a directory with this `.env` and these variables.
fn with_dot_env(dot_env: &[u8], variables: &[(&str, &str)]) -> Result<config::Loaded, String> {
    let directory = tempfile::tempdir().expect("directory");
    std::fs::create_dir(directory.path().join("config")).expect("made");
    std::fs::write(directory.path().join("config/local.toml"), GOOD).expect("written");
    std::fs::write(directory.path().join(".env"), dot_env).expect("written");
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let sources = Sources { directory: Some(directory.path().to_owned()), variables, ..Sources::default() };
    let told = |invalid: Box<config::Invalid>| invalid.0.faults.iter().map(|fault| format!("{fault}\n")).collect();
    config::load(&sources).map_err(told)
}

#[test]
fn the_environment_wins_over_dot_env_whichever_way_a_secret_is_written() {
    let file = tempfile::NamedTempFile::new().expect("file");
    std::fs::write(file.path(), "\u{feff}from-a-file-0123456789abcdef0123\n").expect("written");
    let path = file.path().display().to_string();
    let secret = "OKTA_HOOK__ORGS__MAIN__AUTH__HEADER__SECRET";
    let secret_file = "OKTA_HOOK__ORGS__MAIN__AUTH__HEADER__SECRET__FILE";
    let twilio = ("TWILIO_TOKEN", "x");
    for (dot_env, variable, expected) in [
        (format!("{secret}=from-dot-env\n"), (secret_file, path.as_str()), "from-a-file-0123456789abcdef0123"),
        (format!("{secret_file}={path}\n"), (secret, "from-the-environment"), "from-the-environment"),
        (format!("\u{feff}{secret}=from-dot-env\n"), (secret, ""), "from-dot-env"),
        ("HOOK_SECRET=from-dot-env\n".to_owned(), ("HOOK_SECRET", ""), "from-dot-env"),
    ] {
        let loaded = with_dot_env(dot_env.as_bytes(), &[variable, twilio]).expect("no fault");
        let (_, secret) = loaded.config.orgs[0].authenticate.current().expect("a secret");
        assert_eq!(secret.expose(), expected, "{dot_env}");
    }
    let twice = [(secret, "x"), (secret_file, path.as_str()), twilio];
    assert!(with_dot_env(b"", &twice).expect_err("a fault").contains("cannot be set too"));
    assert_eq!(with_dot_env(b"A=\xff\n", &[]).expect_err("a fault"), ".env: must be UTF-8 text\n");
}

#[test]
fn a_file_is_read_once_and_may_begin_with_a_mark() {
    let directory = tempfile::tempdir().expect("directory");
    let pipe = directory.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::write(pipe, format!("\u{feff}{GOOD}"))
    });
    let variables = SECRETS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let loaded = config::load(&Sources { files: vec![pipe], variables, ..Sources::default() });
    assert!(loaded.is_ok_and(|loaded| loaded.findings.warnings.is_empty()));
    writer.join().expect("no panic").expect("written");
}

#[test]
fn what_is_wrong_is_told_once_and_where() {
    let limits = "[providers.twilio.limits]\nmax_in_flight = 0\nmax_per_second = 0\n";
    let rule = "must be at least 1; to stop asking a provider, leave it out of the routes";
    let limits_told =
        format!("providers.twilio.limits.max_in_flight: {rule}\nproviders.twilio.limits.max_per_second: {rule}\n");
    assert_eq!(faults_of(&[GOOD, limits], &SECRETS), limits_told);
    for secret in ["{ envv = 'X' }", "{ env = 'X', file = 'Y' }", "5"] {
        let good = GOOD.replace("{ env = 'HOOK_SECRET' }", secret);
        let faults = faults_of(&[&good], &SECRETS);
        let told = "orgs.main.auth.header.secret: must be a text, { env = \"NAME\" } or { file = \"/path\" }\n";
        assert_eq!(faults, told, "{secret}");
    }
    let faults = faults_of(&["[server]\n\nmax_body = 99999999999999999999\n", GOOD], &SECRETS);
    assert!(faults.ends_with("/0.toml: line 3: a number is too large\n"), "{faults}");
    for address in [":8080", "localhost:8080", "127.0.0.1"] {
        let faults = faults_of(&[GOOD, &format!("[server]\nlisten = '{address}'\n")], &SECRETS);
        assert_eq!(faults, "server.listen: must be an IP address and a port, such as 127.0.0.1:8080 or [::]:8080\n");
    }
    let many = faults_of(&[GOOD, "[server]\nmax_in_flight = 4611686018427387904\nmax_body = 1\n"], &SECRETS);
    assert_eq!(many, "server.max_in_flight: must be between 1 and 1000000\n");
}

#[test]
fn names_are_short_and_fit_a_line() {
    let name = "must have a name of 1 to 64 characters, none of them a control character, and not . or ..";
    for bad in ["", "..", "a\\nb", &"x".repeat(65)] {
        let provider = GOOD.replace("[providers.twilio]", &format!("[providers.\"{bad}\"]"));
        assert!(faults_of(&[&provider], &SECRETS).contains(&format!("providers: each {name}\n")), "{bad}");
        let org = GOOD.replace("[orgs.main.", &format!("[orgs.\"{bad}\"."));
        assert!(faults_of(&[&org], &SECRETS).contains(&format!("orgs: each {name}\n")), "{bad}");
        let route = format!("[[orgs.main.routes]]\nname = \"{bad}\"\nsend = ['twilio']\n");
        assert_eq!(faults_of(&[GOOD, &route], &SECRETS), format!("orgs.main.routes[0].name: {name}\n"));
    }
}

#[test]
fn short_keys_that_guard_something_are_warned_of() {
    let guessable = "is shorter than 32 characters and can be guessed; use 32 random bytes";
    let short = "[privacy]\nhash_key = { env = 'KEY' }\n[admin]\ntoken = { env = 'KEY' }\n";
    let warnings = |listen: &str, key: &str| {
        let variables = [SECRETS[0], SECRETS[1], ("KEY", key), ("OKTA_HOOK__ADMIN__LISTEN", listen)];
        crate::config::findings(&format!("{GOOD}{short}"), &variables).1
    };
    assert_eq!(warnings("0.0.0.0:9464", "short"), format!("admin.token: {guessable}\nprivacy.hash_key: {guessable}\n"));
    assert_eq!(warnings("127.0.0.1:9464", "short"), format!("privacy.hash_key: {guessable}\n"));
    assert_eq!(warnings("0.0.0.0:9464", "0123456789abcdef0123456789abcdef"), "");
}
