//! Access tokens, right ones and every kind of wrong one, each with the verdict it must get and why.

use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256};
use jiff::Timestamp;
use serde_json::json;

use super::table::{ADMITTED, Case, Table, refused};
use crate::support::jwt::{AUDIENCE, CLIENT, FIRST, SCOPE, SECOND, STRANGER, claims, encode, es256, good, hs256};

/// The table for an issuer who publishes the first two keys.
pub fn all(issuer: &str) -> Vec<Case> {
    let mut table = Table { issuer: issuer.to_owned(), cases: Vec::new() };
    for part in [right_ones, algorithms, keys, headers, times, parties, rights, forms, contents, carriers] {
        part(&mut table);
    }
    table.cases
}

fn right_ones(table: &mut Table) {
    table.token(table.good(), ADMITTED, "as Okta makes them");
    table.token(good(&SECOND, &table.issuer), ADMITTED, "by the other key of the set");
    for typ in ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt"] {
        table.header(&json!({ "typ": typ }), ADMITTED, "a typ that access tokens have");
    }
    table.header(&json!({ "x5t": "dGh1bWI", "cty": "x" }), ADMITTED, "members that decide nothing");
    table.claims(&json!({ "scp": ["openid", SCOPE] }), ADMITTED, "one scope of two");
    table.claims(
        &json!({ "scp": null, "scope": format!("openid {SCOPE}") }),
        ADMITTED,
        "RFC 8693's spelling of scopes",
    );
    table.claims(&json!({ "cid": null, "client_id": CLIENT }), ADMITTED, "RFC 9068's name of the client");
    table.claims(&json!({ "aud": [AUDIENCE] }), ADMITTED, "an audience alone in its list");
    table.claims(
        &json!({ "iat": null, "sub": null, "jti": null, "ver": null }),
        ADMITTED,
        "claims that decide nothing",
    );
    table.claims(&json!({ "padding": "x".repeat(5000) }), ADMITTED, "large, but inside 8 KiB");
    for scheme in ["bearer", "BEARER"] {
        let headers = vec![("authorization", format!("{scheme} {}", table.good()))];
        table.headers(headers, ADMITTED, "the scheme has no case");
    }
    let headers = vec![("Authorization", format!("Bearer   {}", table.good())), ("x-authorization", "x".to_owned())];
    table.headers(headers, ADMITTED, "more blanks, and a header that is not ours");
}

fn algorithms(table: &mut Table) {
    for alg in ["none", "None", "NONE", "nOnE", "", "rs256", "RS-256", "unknown"] {
        let body = table.body(alg);
        table.token(format!("{body}."), refused("algorithm"), format!("{alg:?} without a signature"));
        let signature = FIRST.sign(&RSA_PKCS1_SHA256, &body);
        table.token(format!("{body}.{signature}"), refused("algorithm"), format!("{alg:?} with a good one"));
    }
    for (spelling, secret) in FIRST.public_spellings() {
        let body = table.body("HS256");
        let token = format!("{body}.{}", hs256(&secret, &body));
        table.token(token, refused("algorithm"), format!("HS256 with the public key as its secret: {spelling}"));
        let body = table.body("RS256");
        let token = format!("{body}.{}", hs256(&secret, &body));
        table.token(token, refused("signature"), format!("the same, but called RS256: {spelling}"));
    }
    let body = table.body("RS384");
    table.token(format!("{body}.{}", FIRST.sign(&RSA_PKCS1_SHA384, &body)), refused("algorithm"), "RS384");
    let body = table.body("RS512");
    table.token(format!("{body}.{}", FIRST.sign(&RSA_PKCS1_SHA512, &body)), refused("algorithm"), "RS512");
    let body = table.body("PS256");
    table.token(format!("{body}.{}", FIRST.sign(&RSA_PSS_SHA256, &body)), refused("algorithm"), "PS256");
    let body = table.body("ES256");
    table.token(format!("{body}.{}", es256(&body)), refused("algorithm"), "ES256");
    let body = table.body("RS256");
    table.token(format!("{body}.{}", FIRST.sign(&RSA_PSS_SHA256, &body)), refused("signature"), "PSS, called RS256");
    table.header(&json!({ "alg": "absent" }), refused("malformed"), "no algorithm");
    table.header(&json!({ "alg": ["RS256"] }), refused("malformed"), "algorithm in a list");
    table.header(&json!({ "alg": null }), refused("malformed"), "null algorithm");
}

fn keys(table: &mut Table) {
    for (kid, why) in [
        ("third", "a key nobody has"),
        ("FIRST", "another case"),
        ("first ", "a blank more"),
        ("../../../../../etc/passwd", "a path"),
        ("first' OR '1'='1", "SQL"),
        ("first\u{0}", "a NUL"),
        ("http://127.0.0.1:9464/metrics", "an address"),
    ] {
        table.header(&json!({ "kid": kid }), refused("unknown_key"), why);
    }
    table.header(&json!({ "kid": "absent" }), refused("malformed"), "no key id");
    table.header(&json!({ "kid": "" }), refused("malformed"), "empty key id");
    table.header(&json!({ "kid": "k".repeat(257) }), refused("malformed"), "huge key id");
    table.header(&json!({ "kid": 1 }), refused("malformed"), "a number for a key id");
    table.header(&json!({ "kid": SECOND.kid }), refused("signature"), "the id of another key");
    table.token(good(&STRANGER, &table.issuer), refused("signature"), "a stranger's key under our id");
}

fn headers(table: &mut Table) {
    let certificate = json!(["MIIC"]);
    for (member, value) in [
        ("jku", json!("http://127.0.0.1:9/keys")),
        ("x5u", json!("https://evil.example/chain.pem")),
        ("jwk", STRANGER.jwk()),
        ("x5c", certificate),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
    ] {
        let mut header = FIRST.header();
        header[member] = value;
        let of = &claims(&table.issuer, &json!({}));
        let (ours, theirs) = (FIRST.token(&header, of), STRANGER.token(&header, of));
        table.token(ours, refused("malformed"), format!("{member}, rightly signed"));
        table.token(theirs, refused("malformed"), format!("{member}, signed by a stranger"));
    }
    for typ in [json!("application/okta-internal-at+jwt"), json!("logout+jwt"), json!("dpop+jwt"), json!(""), json!(7)]
    {
        table.header(&json!({ "typ": typ }), refused("malformed"), "another kind of token");
    }
}

fn times(table: &mut Table) {
    let now = Timestamp::now().as_second();
    table.claims(&json!({ "exp": now - 30 }), ADMITTED, "expired, inside the leeway");
    table.claims(&json!({ "exp": now - 70 }), refused("expired"), "expired, outside the leeway");
    table.claims(&json!({ "exp": 0 }), refused("expired"), "expired in 1970");
    table.claims(&json!({ "exp": now as f64 + 299.5 }), ADMITTED, "a fraction of a second");
    table.claims(&json!({ "exp": null }), refused("malformed"), "never expires");
    table.claims(&json!({ "exp": (now + 300).to_string() }), refused("malformed"), "a text for a time");
    table.claims(&json!({ "exp": -1 }), refused("malformed"), "before 1970");
    table.claims(&json!({ "exp": u64::MAX }), refused("malformed"), "after the end of all calendars");
    table.claims(&json!({ "exp": 1e300 }), refused("malformed"), "far after it");
    table.claims(&json!({ "exp": true }), refused("malformed"), "no time at all");
    table.claims(&json!({ "exp": [now + 300] }), refused("malformed"), "a list of times");
    table.claims(&json!({ "nbf": now + 30 }), ADMITTED, "not valid yet, inside the leeway");
    table.claims(&json!({ "nbf": now + 120 }), refused("not_yet_valid"), "not valid yet, outside the leeway");
    table.claims(&json!({ "nbf": "now" }), refused("malformed"), "a text for the other time");
    table.claims(&json!({ "exp": now - 70, "aud": "api://other" }), refused("audience"), "not only expired");
    let endless =
        claims(&table.issuer, &json!({})).to_string().replace(&format!("\"exp\":{}", now + 300), "\"exp\":1e999");
    table.token(FIRST.seal(&encode(FIRST.header().to_string()), &encode(endless)), refused("malformed"), "no number");
}

fn parties(table: &mut Table) {
    let issuer = table.issuer.clone();
    for (iss, why) in [
        (json!(format!("{issuer}/")), "a slash more"),
        (json!(issuer.to_uppercase()), "another case"),
        (json!(issuer.replace("/oauth2/default", "")), "the org's own authorization server"),
        (json!("https://evil.example/oauth2/default"), "somebody else"),
        (json!([issuer]), "a list"),
        (json!(""), "empty"),
        (json!(null), "missing"),
        (json!({ "x": issuer }), "an object"),
    ] {
        table.claims(&json!({ "iss": iss }), refused("issuer"), &format!("issuer: {why}"));
    }
    for (aud, why) in [
        (json!("api://other"), "somebody else"),
        (json!("api://defaul"), "a letter short"),
        (json!("api://default/"), "a slash more"),
        (json!("API://DEFAULT"), "another case"),
        (json!(CLIENT), "the client: an ID token"),
        (json!([AUDIENCE, "api://other"]), "a list with somebody else"),
        (json!(["api://other"]), "a list of somebody else"),
        (json!([]), "an empty list"),
        (json!(""), "empty"),
        (json!(null), "missing"),
        (json!(1), "a number"),
    ] {
        table.claims(&json!({ "aud": aud }), refused("audience"), &format!("audience: {why}"));
    }
}

fn rights(table: &mut Table) {
    for (changes, why) in [
        (json!({ "scp": null }), "missing"),
        (json!({ "scp": [] }), "none"),
        (json!({ "scp": SCOPE }), "a text where a list belongs"),
        (json!({ "scp": ["telephony.sen"] }), "a letter short"),
        (json!({ "scp": ["telephony.send.all"] }), "ours is only its beginning"),
        (json!({ "scp": [format!("openid {SCOPE}")] }), "two in one text"),
        (json!({ "scp": null, "scope": [SCOPE] }), "a list where a text belongs"),
        (json!({ "scp": null, "scope": "xtelephony.send telephony.send2" }), "only similar"),
    ] {
        table.claims(&changes, refused("scope"), &format!("scope: {why}"));
    }
    for (changes, why) in [
        (json!({ "cid": "0oa1another" }), "another"),
        (json!({ "cid": null }), "missing"),
        (json!({ "cid": [CLIENT] }), "a list"),
        (json!({ "client_id": "0oa1another" }), "two of them"),
    ] {
        table.claims(&changes, refused("client"), &format!("client: {why}"));
    }
}

fn forms(table: &mut Table) {
    let token = table.good();
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("three parts") };
    let other = encode(claims(&table.issuer, &json!({ "sub": "admin" })).to_string());
    let mut flipped = signature.to_owned();
    flipped.replace_range(..1, if signature.starts_with('A') { "B" } else { "A" });
    // 256 bytes end in a character of which only two bits count.
    let stray = format!("{}B", &signature[..signature.len() - 1]);
    for (token, reason, why) in [
        (format!("{header}.{other}.{signature}"), "signature", "another payload under the signature"),
        (format!("{header}.{payload}.{flipped}"), "signature", "a bit flipped"),
        (format!("{header}.{payload}."), "signature", "no signature"),
        (format!("{header}.{payload}.{}", &signature[..100]), "signature", "half a signature"),
        (format!("{header}.{payload}.{signature}AAAA"), "signature", "more than a signature"),
        (format!("{header}..{signature}"), "signature", "no payload"),
        (format!("{header}.{payload}.{stray}"), "malformed", "stray bits"),
        (format!(".{payload}.{signature}"), "malformed", "no header"),
        (token[..token.len() / 3].to_owned(), "malformed", "cut off"),
        (header.to_owned(), "malformed", "one part"),
        (format!("{header}.{payload}"), "malformed", "two parts"),
        (format!("{token}.{signature}"), "malformed", "four parts"),
        (format!("{header}.{payload}.{signature}.x.y"), "malformed", "five parts, as an encrypted one"),
        ("..".to_owned(), "malformed", "dots alone"),
        ("x".to_owned(), "malformed", "a letter"),
        (format!("{header}==.{payload}.{signature}"), "malformed", "padding"),
        (format!("{header}.{payload}.{signature}=="), "malformed", "padding behind the signature"),
        (format!("{token} x"), "malformed", "something behind it"),
        (format!("{token}, Bearer {token}"), "malformed", "two in one header"),
        ("%%%.%%%.%%%".to_owned(), "malformed", "no base64"),
        ("A".repeat(9000), "malformed", "9000 letters"),
    ] {
        table.token(token, refused(reason), why);
    }
}

fn contents(table: &mut Table) {
    let token = table.good();
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, _] = parts[..] else { panic!("three parts") };
    table.claims(&json!({ "padding": "x".repeat(7000) }), refused("malformed"), "rightly signed, but over 8 KiB");
    let json = |text: &str| encode(text);
    let twice = format!("{{\"iss\":\"https://evil.example\",{}", &claims(&table.issuer, &json!({})).to_string()[1..]);
    for (header, payload, why) in [
        (json(r#"{"alg":"none","alg":"RS256","kid":"first"}"#), payload.to_owned(), "two algorithms"),
        (json("[]"), payload.to_owned(), "a header that is a list"),
        (json("{\"alg\":\"RS256\",\"kid\":\"first\"}x"), payload.to_owned(), "a header with a tail"),
        (header.to_owned(), json(&twice), "two issuers"),
        (header.to_owned(), json("[]"), "a payload that is a list"),
        (header.to_owned(), json("\"text\""), "a payload that is a text"),
        (header.to_owned(), json("no JSON"), "a payload that is no JSON"),
        (header.to_owned(), format!("{payload}="), "a payload with padding"),
    ] {
        table.token(FIRST.seal(&header, &payload), refused("malformed"), why);
    }
}

fn carriers(table: &mut Table) {
    let token = table.good();
    let bearer = format!("Bearer {token}");
    for (headers, why) in [
        (vec![], "no header"),
        (vec![("authorization", bearer.clone()), ("authorization", bearer.clone())], "twice the same"),
        (vec![("authorization", bearer.clone()), ("authorization", "Basic eDp5".to_owned())], "two headers"),
        (vec![("x-authorization", bearer.clone())], "another header"),
        (vec![("proxy-authorization", bearer.clone())], "the proxy's header"),
        (vec![("cookie", format!("access_token={token}"))], "a cookie"),
        (vec![("authorization", token.clone())], "no scheme"),
        (vec![("authorization", format!("Basic {token}"))], "another scheme"),
        (vec![("authorization", format!("DPoP {token}"))], "bound to a key"),
        (vec![("authorization", format!("Bearer{token}"))], "scheme and token in one"),
        (vec![("authorization", "Bearer".to_owned())], "a scheme alone"),
    ] {
        table.headers(headers, Err(None), why);
    }
}
