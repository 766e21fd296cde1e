//! The operator's page: what it shows, to whom, and what never stands on it.

use base64::Engine as _;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::reload::{reload, start};
use crate::support::eventually;
use crate::support::okta::{self, SECRET};
use crate::support::server::{Answer, TestServer, exchange, read_answer};

const TWO: &str = "allow_sandbox = true\n[orgs.main]\n[[orgs.main.routes]]\nsend = ['first', 'second']\n\
    [providers.first]\nkind = 'sandbox'\ndelay = '1ms'\noutcomes = { '7777' = 'unavailable' }\n\
    [providers.second]\nkind = 'sandbox'\ndelay = '1ms'\n";

const TOKEN: &str = "a long enough admin token: with a colon";

async fn ask(address: std::net::SocketAddr, method: &str, host: &str, more: &str) -> Answer {
    let request = format!("{method} / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{more}\r\n");
    exchange(address, request.as_bytes()).await
}

/// The page of a server without a token.
pub async fn page(server: &TestServer) -> String {
    let answer = ask(server.admin, "GET", "localhost", "").await;
    assert_eq!(answer.status, 200, "{}", answer.head);
    String::from_utf8(answer.body).expect("text")
}

/// The cells of the rows under a caption, as they would be read.
fn rows(page: &str, caption: &str) -> Vec<Vec<String>> {
    let table = page.split("<table>").find(|table| table.contains(&format!("<caption>{caption}"))).expect("a table");
    let body = table.split_once("<tbody>").and_then(|(_, rest)| rest.split_once("</tbody>")).expect("a body").0;
    let cells = |row: &str| {
        let text = |cell: &str| cell.split_once('>').map(|(_, text)| text.to_owned());
        row.replace("<th scope=\"row\"", "<td").split("<td").skip(1).filter_map(text).collect::<Vec<_>>()
    };
    let strip = |cell: String| cell.replace("</td>", "").replace("</th>", "").replace("</tr>", "").trim().to_owned();
    body.split("<tr").skip(1).map(|row| cells(row).into_iter().map(strip).collect()).collect()
}

fn hooks(page: &str) -> Vec<Vec<String>> {
    rows(page, "The last hooks")
}

/// The cell of a row of two.
fn state<'r>(rows: &'r [Vec<String>], what: &str) -> &'r str {
    &rows.iter().find(|row| row[0] == what).unwrap_or_else(|| panic!("{what} in {rows:?}"))[1]
}

#[tokio::test]
async fn the_page_tells_how_things_are_before_anything_has_happened() {
    let server = TestServer::start(TWO).await;
    let page = page(&server).await;
    let shown = rows(&page, "State");
    assert_eq!(state(&shown, "state"), "ready");
    assert_eq!(state(&shown, "version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(state(&shown, "hooks in flight"), "0");
    assert_eq!(state(&shown, "configuration read again"), "0 taken, 0 refused");
    assert!(state(&shown, "runs since").ends_with(" s)"), "{shown:?}");
    assert!(!page.contains("certificate"), "there is none");
    let ways = [("first", "sms"), ("first", "voice"), ("second", "sms"), ("second", "voice")];
    let expected = ways.map(|(name, channel)| [name, "sandbox", channel, "closed", "", "0", "0", ""]);
    assert_eq!(rows(&page, "Providers"), expected);
    assert_eq!(rows(&page, "Learnt"), [["none yet"]]);
    assert_eq!(hooks(&page), [["none yet"]]);
    assert!(page.contains("<meta http-equiv=\"refresh\" content=\"10\">"));
    assert!(!page.contains("<script") && !page.contains("http://") && !page.contains("https://"), "nothing from afar");
}

#[tokio::test]
async fn hooks_are_shown_newest_first_with_what_became_of_them() {
    let server = TestServer::start(TWO).await;
    let accepted = okta::sms("+15005561234", "482913");
    let failed_over = okta::for_a_stranger(okta::sms("+15005557777", "482913"));
    let refused = okta::for_a_stranger(okta::sms("+447400120001", "482913"));
    for request in [&accepted, &accepted, &failed_over, &refused] {
        assert_eq!(server.hook(request).await.status, 200);
    }
    assert_eq!(server.hook(&json!({ "data": 1 })).await.status, 400);
    let body = okta::another_sms().to_string();
    let denied = server.post("/okta/telephony", &[("authorization", "wrong")], body.as_bytes()).await;
    assert_eq!(denied.status, 401);

    let page = page(&server).await;
    let hooks = hooks(&page);
    let column = |at: usize| hooks.iter().map(|row| row[at].as_str()).collect::<Vec<_>>();
    assert_eq!(column(2), ["unauthorized", "bad_request", "refused", "accepted", "repeat", "accepted"]);
    assert_eq!(column(1), ["main"; 6]);
    assert_eq!(column(3), ["", "", "sms", "sms", "sms", "sms"]);
    assert_eq!(column(4), ["", "", "GB", "US", "US", "US"]);
    assert_eq!(column(5), ["", "", "first", "second", "", "first"]);
    let tried = &hooks[3][6];
    assert!(tried.starts_with("first unavailable: script ") && tried.contains("; second accepted "), "{tried}");
    assert!(hooks.iter().all(|row| row[0].len() == 24 && row[0].ends_with('Z')), "{hooks:?}");
    assert!(column(7).iter().all(|ms| ms.parse::<u32>().is_ok()), "{hooks:?}");
    assert_eq!((hooks[4][9].as_str(), hooks[5][9].as_str()), ("repeat: event", ""));
    assert!(hooks[1][9].contains("data"), "the fault: {hooks:?}");
    assert_eq!((hooks[5][10].as_str(), hooks[3][10].as_str()), ("sandbox-1", "sandbox-1"));
    let event = |request: &Value| request["eventId"].as_str().expect("an id").to_owned();
    assert_eq!(column(11)[2..], [&event(&refused), &event(&failed_over), &event(&accepted), &event(&accepted)]);
    assert!(hooks[2..].iter().all(|row| row[12].starts_with('k') && row[12].len() == 28), "{hooks:?}");
    assert_eq!(hooks[4][12], hooks[5][12], "one number, one pseudonym");

    let providers = rows(&page, "Providers");
    assert_eq!((&*providers[0][6], &*providers[0][7]), ("1", "recipient 1, unavailable 1"));
    assert_eq!((&*providers[2][6], &*providers[2][7]), ("1", ""));
    let learnt = rows(&page, "Learnt");
    assert!(learnt.iter().any(|row| row[..5] == ["second", "US", "sms", "1", "0"]), "{learnt:?}");
    for hidden in ["482913", "5005561234", "5005557777", "7400120001", "00u", "203.0.113.7", SECRET, "Canaria"] {
        assert!(!page.contains(hidden), "{hidden}");
    }
}

#[tokio::test]
async fn a_resend_an_open_breaker_and_switches_are_marked() {
    let refusing = TWO.replace("'7777' = 'unavailable'", "'7777' = 'account'");
    let server = TestServer::start(&refusing).await;
    // Whatever comes first, the account is refused and the second is asked.
    server.hook(&okta::for_a_stranger(okta::sms("+15005557777", "482913"))).await;
    let (first, mut second) = (okta::sms("+15005567878", "482913"), okta::sms("+15005567878", "482914"));
    second["data"]["userProfile"] = first["data"]["userProfile"].clone();
    server.hook(&first).await;
    server.hook(&second).await;
    for (target, setting) in [("provider/second", "drained"), ("country/ng", "disabled")] {
        let body = format!("{{\"state\":\"{setting}\"}}");
        let request = format!(
            "PUT /switches/{target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        assert_eq!(exchange(server.admin, request.as_bytes()).await.status, 200);
    }
    let page = page(&server).await;
    let notes = &hooks(&page)[0][9];
    assert!(notes.starts_with("resend: second ") && notes.contains("s ago"), "{notes}");
    let providers = rows(&page, "Providers");
    assert!(providers[0][3].starts_with("open for "), "{providers:?}");
    assert_eq!(providers[1][3], "closed", "texts alone");
    assert_eq!((&*providers[2][4], &*providers[3][4]), ("drained", "drained"));
    let switches: Vec<_> = rows(&page, "State").into_iter().filter(|row| row[0] == "switch").collect();
    assert_eq!(switches, [["switch", "country NG disabled"], ["switch", "provider second drained"]]);
}

#[tokio::test]
async fn what_is_hostile_is_shown_as_text() {
    let (org, provider) = ("<script>alert('org')</script>", "\"><img src=x onerror=alert(1)>&amp;\u{202e}evil");
    let toml = TWO.replace("providers.first", &format!("providers.{:?}", "x")).replace("'first'", "'x'");
    let quoted = |text: &str| serde_json::to_string(text).expect("JSON");
    let toml = toml.replace("providers.\"x\"", &format!("providers.{}", quoted(provider)));
    let toml = toml.replace("['x',", &format!("[{},", quoted(provider)));
    let more = format!(
        "[orgs.{0}]\npath = '/hostile'\nauth = {{ header = {{ secret = '{SECRET}' }} }}\nroutes = [{{ send = ['second'] }}]\n",
        quoted(org)
    );
    let server = TestServer::start(&(toml + &more)).await;
    let mut request = okta::another_sms();
    request["eventId"] = format!("<script>alert(1)</script>\u{202e}\r\n{}", "x".repeat(5_000)).into();
    assert_eq!(server.post("/hostile", &[("authorization", SECRET)], request.to_string().as_bytes()).await.status, 200);
    assert_eq!(server.hook(&okta::another_sms()).await.status, 200);
    let page = page(&server).await;
    for wrong in
        ["<script", "<img", "\u{202e}", "alert('", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"]
    {
        assert!(!page.contains(wrong), "{wrong}");
    }
    for expected in [
        "&lt;script&gt;alert(&#39;org&#39;)&lt;/script&gt;",
        "&quot;&gt;&lt;img src=x onerror=alert(1)&gt;&amp;amp;\u{fffd}evil",
        "?script?alert?1???script????xxx",
    ] {
        assert!(page.contains(expected), "{expected} in {page}");
    }
}

#[tokio::test]
async fn with_a_token_a_browser_or_a_bearer_gets_in_and_nobody_else() {
    let server = TestServer::start(&format!("{TWO}[admin]\ntoken = '{TOKEN}'")).await;
    let basic = |scheme: &str, pair: &str| {
        format!("authorization: {scheme} {}\r\n", base64::engine::general_purpose::STANDARD.encode(pair))
    };
    let right = basic("Basic", &format!("anybody:{TOKEN}"));
    for (more, status, why) in [
        (String::new(), 401, "nothing"),
        (right.clone(), 200, "the token as password"),
        (basic("basic", &format!(":{TOKEN}")), 200, "no user name, scheme in lower case"),
        (format!("authorization: Bearer {TOKEN}\r\n"), 200, "as a program presents it"),
        (format!("authorization: bearer {TOKEN}\r\n"), 200, "the same, scheme in lower case"),
        (basic("Basic", &format!("anybody:{TOKEN}x")), 401, "more than the token"),
        (basic("Basic", &format!("{TOKEN}:anybody")), 401, "the token as user name"),
        (basic("Basic", TOKEN), 401, "what stands before its colon is a user name"),
        (basic("Basic", "anybody:"), 401, "an empty password"),
        (basic("Bearer", &format!("anybody:{TOKEN}")), 401, "another scheme"),
        ("authorization: Basic !!!\r\n".to_owned(), 401, "no base64"),
        (format!("authorization: Bearer {}\r\n", &TOKEN[1..]), 401, "less than the token"),
        (format!("authorization: {TOKEN}\r\n"), 401, "no scheme"),
    ] {
        let answer = ask(server.admin, "GET", "hook.example", &more).await;
        assert_eq!(answer.status, status, "{why}");
        let challenged = answer.head.contains("www-authenticate: basic realm=\"okta-telephony-hook\"");
        assert_eq!(challenged, status == 401, "{why}: {}", answer.head);
        let shows = String::from_utf8_lossy(&answer.body).contains("Providers");
        assert_eq!(shows, status == 200, "{why}");
    }
    // What a browser has been told for the page opens nothing else, and no other page has it ask for a password.
    for page in ["/metrics", "/learned", "/switches"] {
        let request = format!("GET {page} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{right}\r\n");
        let answer = exchange(server.admin, request.as_bytes()).await;
        assert_eq!(answer.status, 401, "{page}");
        let challenges: Vec<&str> = answer.head.lines().filter(|l| l.starts_with("www-authenticate: ")).collect();
        assert_eq!(challenges, ["www-authenticate: bearer realm=\"okta-telephony-hook\""], "{page}");
    }
}

#[tokio::test]
async fn without_a_token_a_name_that_was_made_to_point_here_is_refused() {
    let server = TestServer::start(TWO).await;
    server.hook(&okta::another_sms()).await;
    for (host, status) in [
        ("127.0.0.1:9464", 200),
        ("localhost:9464", 200),
        ("[::1]:9464", 200),
        ("rebound.example:9464", 403),
        ("localhost.rebound.example", 403),
    ] {
        let answer = ask(server.admin, "GET", host, "").await;
        assert_eq!(answer.status, status, "{host}");
        assert_eq!(answer.body.windows(7).any(|w| w == b"phone_r"), status == 200, "{host}");
    }
    let old = exchange(server.admin, b"GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(old.status, 200, "no browser comes without a host");
    for page in ["/metrics", "/learned", "/switches"] {
        for (host, status) in [("127.0.0.1:9464", 200), ("localhost", 200), ("rebound.example:9464", 403)] {
            let request = format!("GET {page} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
            let answer = exchange(server.admin, request.as_bytes()).await;
            assert_eq!(answer.status, status, "{page} {host}");
            let rule = String::from_utf8_lossy(&answer.body).contains("admin.token");
            assert_eq!(rule, status == 403, "{page} {host} says why");
        }
    }
    for page in ["/livez", "/readyz"] {
        let request = format!("GET {page} HTTP/1.1\r\nhost: hook.internal\r\nconnection: close\r\n\r\n");
        assert_eq!(exchange(server.admin, request.as_bytes()).await.status, 200, "{page}: probes name it as they like");
    }
}

#[tokio::test]
async fn the_browser_is_told_to_load_run_and_keep_nothing() {
    let server = TestServer::start(TWO).await;
    let got = ask(server.admin, "GET", "localhost", "").await;
    let policy = got.head.lines().find_map(|l| l.strip_prefix("content-security-policy: ")).expect("a policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
    for header in [
        "content-type: text/html; charset=utf-8",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "cache-control: no-store",
    ] {
        assert!(got.head.contains(header), "{header} in {}", got.head);
    }
    let page = String::from_utf8(got.body).expect("text");
    for foreign in [" src=", " href=", " style=", " on", "url("] {
        let html = page.split("<body>").nth(1).expect("a body").split('<').filter_map(|tag| tag.split('>').next());
        assert!(html.into_iter().all(|tag| !tag.contains(foreign)), "{foreign}");
    }

    let mut stream = TcpStream::connect(server.admin).await.expect("connects");
    stream.write_all(b"HEAD / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.expect("written");
    let mut head = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut head).await.expect("text");
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "no body: {head}");
    assert!(head.to_ascii_lowercase().contains("content-security-policy: "), "{head}");
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        assert_eq!(ask(server.admin, method, "localhost", "content-length: 0\r\n").await.status, 405, "{method}");
    }
    assert_eq!(exchange(server.public, b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.status, 404);
}

#[tokio::test]
async fn ten_thousand_hooks_leave_a_hundred_and_strangers_push_none_of_them_out() {
    let server = TestServer::start(TWO).await;
    let callers = (0..8).map(|caller| {
        let public = server.public;
        tokio::spawn(async move {
            let mut stream = TcpStream::connect(public).await.expect("connects");
            for turn in 0..1250 {
                let mut request = okta::sms(&format!("+15005{:06}", 102_000 + caller * 10_000 + turn), "482913");
                request["eventId"] = format!("{caller}-{turn}-{}", "e".repeat(1_000)).into();
                let body = request.to_string();
                let head = format!("authorization: {SECRET}\r\ncontent-length: {}\r\n", body.len());
                let request = format!("POST /okta/telephony HTTP/1.1\r\nhost: x\r\n{head}\r\n{body}");
                stream.write_all(request.as_bytes()).await.expect("written");
                assert_eq!(read_answer(&mut stream).await.status, 200);
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.expect("every hook was answered");
    }
    for _ in 0..30 {
        assert_eq!(server.post("/okta/telephony", &[], b"{}").await.status, 401);
    }
    let page = page(&server).await;
    let hooks = hooks(&page);
    let of = |verdict: &str| hooks.iter().filter(|row| row[2] == verdict).count();
    assert_eq!((of("accepted"), of("unauthorized"), hooks.len()), (100, 20, 120));
    assert!(page.len() < 150_000, "{}", page.len());
}

#[tokio::test]
async fn a_reload_keeps_what_is_shown() {
    let auth = format!("[orgs.main.auth]\nheader = {{ secret = '{SECRET}' }}\n");
    let toml = TWO.replace("[[orgs.main.routes]]", &format!("{auth}[[orgs.main.routes]]"));
    let server = start(&toml).await;
    let request = okta::another_sms();
    let body = request.to_string();
    let head = format!("authorization: {SECRET}\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    let hook = format!("POST /okta/telephony HTTP/1.1\r\nhost: x\r\n{head}\r\n{body}");
    assert_eq!(exchange(server.public, hook.as_bytes()).await.status, 200);
    let shown = async || {
        let answer = ask(server.admin, "GET", "localhost", "").await;
        String::from_utf8(answer.body).expect("text")
    };
    let before = shown().await;
    let since = |page: &str| state(&rows(page, "State"), "runs since").split(' ').next().map(str::to_owned);
    reload(&server, &toml.replace("providers.second", "providers.third").replace("'second'", "'third'"), "ok").await;
    // The counter moves before the new pages are in place.
    let mut after = String::new();
    eventually("the new pages are in place", async || {
        after = shown().await;
        rows(&after, "Providers").iter().any(|row| row[0] == "third")
    })
    .await;
    assert_eq!(hooks(&after), hooks(&before));
    assert_eq!(hooks(&after)[0][11], request["eventId"].as_str().expect("an id"));
    assert_eq!(state(&rows(&after, "State"), "configuration read again"), "1 taken, 0 refused");
    assert_eq!(since(&after), since(&before));
    reload(&server, "no [ TOML", "refused").await;
    let page = shown().await;
    assert_eq!(state(&rows(&page, "State"), "configuration read again"), "1 taken, 1 refused");
    assert_eq!(hooks(&page), hooks(&before));
    server.stop().await;
}
