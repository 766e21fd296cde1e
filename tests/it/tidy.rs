//! The house rules that a compiler does not know: floors, sizes, and words that have one home.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules from the ground up; each may name only those on lower floors, and itself.
const FLOORS: [&[&str]; 11] = [
    &["locks", "otp"],
    &["deadline", "metrics", "recent", "secret", "segments", "seldom", "settings"],
    &["outbound", "store"],
    &["learn", "okta", "provider", "route", "text"],
    &["agenda", "dedupe", "dispatch", "guard", "journal"],
    &["feedback", "hook"],
    &["http"],
    &["config", "telemetry"],
    &["app"],
    &["cli"],
    &["main", "lib"],
];

/// `telemetry` only starts logging, so `config` may take its settings although both stand on one floor.
const NEIGHBOURS: [(&str, &str); 1] = [("config", "telemetry")];

/// A word, and the only places in which it may stand.
const HOMES: [(&str, &[&str]); 13] = [
    ("axum::", &["http", "app"]),
    ("hyper_util::client", &["outbound"]),
    ("reqwest", &["outbound"]),
    ("std::env::", &["config/sources", "cli/paint"]),
    ("SUCCESSFUL", &["okta/reply"]),
    ("prometheus_client", &["metrics"]),
    ("tokio_rustls", &["http/tls"]),
    ("x509_cert", &["http/tls/certificate"]),
    ("rustix", &["cli/harden", "secret"]),
    ("std::time::Instant", &[]),
    ("process::exit", &["cli/serve"]),
    ("::redis::", &["store/redis"]),
    ("\"guard-", &["guard/kinds"]),
];

/// Lines of a file, tests included. Longer ones hold two subjects.
const MAX_LINES: usize = 400;

fn sources() -> Vec<(String, String)> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).expect("directory") {
            let path = entry.expect("entry").path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &mut found);
    let name = |path: &Path| path.strip_prefix(&root).expect("below src").with_extension("").display().to_string();
    found.iter().map(|path| (name(path).replace("/mod", ""), fs::read_to_string(path).expect("text"))).collect()
}

fn floor(module: &str) -> usize {
    FLOORS.iter().position(|floor| floor.contains(&module)).unwrap_or_else(|| panic!("{module} has no floor yet"))
}

/// What a line says, without a comment. Texts in quotes stay: some words have their home in them.
fn code(line: &str) -> &str {
    let is_outside = |at: &usize| line[..*at].replace("\\\"", "").matches('"').count().is_multiple_of(2);
    let comment = line.match_indices("//").map(|(at, _)| at).find(is_outside);
    &line[..comment.unwrap_or(line.len())]
}

/// The modules that are named by what stands behind `crate::`: one, or a list in braces over as many lines as it takes.
fn named(rest: &str) -> Vec<&str> {
    let first =
        |path: &str| path.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default().len();
    let Some(list) = rest.strip_prefix('{') else { return vec![&rest[..first(rest)]] };
    let (mut names, mut begin, mut depth) = (Vec::new(), 0, 1);
    for (at, letter) in list.char_indices() {
        match letter {
            ',' | '}' if depth == 1 => {
                let path = list[begin..at].trim();
                names.push(&path[..first(path)]);
                begin = at + 1;
                if letter == '}' {
                    break;
                }
            }
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn comments_are_told_from_code_and_lists_are_read_whole() {
    for (line, expected) in [
        ("a // b", "a "),
        (r#"a("https://x"); // b"#, r#"a("https://x"); "#),
        (r#"a("\"//"); // b"#, r#"a("\"//"); "#),
        ("/// b", ""),
    ] {
        assert_eq!(code(line), expected);
    }
    for (rest, expected) in [
        ("otp::{Message, Outcome};", &["otp"][..]),
        ("metrics)", &["metrics"]),
        ("{otp, store::Store};", &["otp", "store"]),
        (
            "{\n    dispatch::{\n        self, health::{Health, Skip},\n    },\n    hook,\n};\nuse x::{y, z};",
            &["dispatch", "hook"],
        ),
    ] {
        assert_eq!(named(rest), expected, "{rest}");
    }
}

#[test]
fn modules_name_only_lower_floors() {
    let mut broken = Vec::new();
    for (file, text) in sources() {
        let module = file.split('/').next().expect("name");
        let text: String = text.lines().flat_map(|line| [code(line), "\n"]).collect();
        for (at, word) in text.match_indices("crate::") {
            for name in named(&text[at + word.len()..]) {
                let fine = name == module || floor(name) < floor(module) || NEIGHBOURS.contains(&(module, name));
                if !fine {
                    let number = text[..at].matches('\n').count() + 1;
                    broken.push(format!("{file}:{number}: {module} must not name {name}"));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn words_stay_at_home() {
    let mut broken = Vec::new();
    for (file, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            for (word, homes) in HOMES {
                if code(line).contains(word) && !homes.iter().any(|home| file.starts_with(home)) {
                    broken.push(format!("{file}:{}: {word} belongs in {homes:?}", number + 1));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn files_are_short_and_say_what_they_are() {
    for (file, text) in sources() {
        assert!(text.lines().count() <= MAX_LINES, "{file} has {} lines", text.lines().count());
        assert!(text.starts_with("//!"), "{file} does not begin with what it does");
    }
}

/// What begins the kind of a key in a source: a key made of it, or the words that most kinds begin with.
const KINDS: [&str; 3] = ["Key::new(\"", "\"guard-", "\"journal-"];

#[test]
fn the_table_of_what_stands_in_a_store_has_every_kind_of_key() {
    let mut made = BTreeSet::new();
    for (_, text) in sources() {
        let text = text.split("#[cfg(test)]\nmod tests {").next().expect("a part");
        for line in text.lines().map(code) {
            for (at, begin) in KINDS.iter().flat_map(|begin| line.match_indices(begin)) {
                let quote = at + begin.find('"').expect("a quote");
                made.extend(line[quote..].split('"').nth(1).map(str::to_owned));
            }
        }
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scaling.md");
    let page = fs::read_to_string(page).expect("text");
    let section =
        page.split("### What stands in it").nth(1).expect("the section").split("\n#").next().expect("its end");
    let cells = section.lines().filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
    let told: BTreeSet<String> =
        cells.flat_map(|cell| cell.split('`')).filter_map(|word| word.strip_suffix(":…")).map(str::to_owned).collect();
    assert!(made.len() > 20, "{made:?}");
    assert_eq!(made, told);
}
