//! What the fuzz targets hold true, for everything recorded in `tests/data` and for damaged copies of it: without a
//! nightly compiler, so that the targets are built and their seeds stay good. `make fuzz` begins with the same seeds.
//!
//! Must not know what a target holds true. With `FUZZ_CORPUS` set to a directory, the seeds are written below it.

#![expect(unreachable_pub, reason = "each target is a program of its own elsewhere")]

mod seeds;

#[path = "../../fuzz/fuzz_targets/answer.rs"]
mod answer;
#[path = "../../fuzz/fuzz_targets/config.rs"]
mod config;
#[path = "../../fuzz/fuzz_targets/event_hook.rs"]
mod event_hook;
#[path = "../../fuzz/fuzz_targets/head.rs"]
mod head;
#[path = "../../fuzz/fuzz_targets/hook.rs"]
mod hook;
#[path = "../../fuzz/fuzz_targets/phone.rs"]
mod phone;
#[path = "../../fuzz/fuzz_targets/report.rs"]
mod report;
#[path = "../../fuzz/fuzz_targets/text.rs"]
mod text;
#[path = "../../fuzz/fuzz_targets/token.rs"]
mod token;

use std::fs;
use std::path::Path;

/// Damaged copies of each seed, of both kinds.
const DAMAGES: usize = 16;

/// Runs a target over its seeds: at least `taken` of them must be taken, or what holds then was never looked at.
#[track_caller]
fn check(target: &str, holds: fn(&[u8]) -> bool, seeds: &[Vec<u8>], taken: usize) {
    let found = seeds.iter().filter(|seed| holds(seed)).count();
    assert!(found >= taken, "{target} took {found} of {} seeds", seeds.len());
    for seed in seeds {
        for copy in damaged(seed) {
            let _ = holds(&copy);
        }
    }
    if let Some(corpus) = std::env::var_os("FUZZ_CORPUS") {
        write(&Path::new(&corpus).join(target), seeds);
    }
}

/// Copies cut short and copies with one bit turned, at places spread over the whole.
fn damaged(seed: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..DAMAGES).map(|place| seed.len() * place / DAMAGES).flat_map(|at| {
        let mut turned = seed.to_vec();
        if let Some(byte) = turned.get_mut(at) {
            *byte ^= 1 << (at % 7);
        }
        [seed[..at].to_vec(), turned]
    })
}

fn write(directory: &Path, seeds: &[Vec<u8>]) {
    fs::create_dir_all(directory).expect("a directory");
    for (number, seed) in seeds.iter().enumerate() {
        fs::write(directory.join(format!("seed-{number:03}")), seed).expect("written");
    }
}

/// A target that stands in one of the three places alone would never run, and nobody would know.
#[test]
fn every_target_is_a_program_of_the_fuzz_crate_and_is_looked_at_here() {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs::read_to_string(crate_root.join("Cargo.toml")).expect("readable");
    let mut files: Vec<_> = fs::read_dir(crate_root.join("fuzz_targets")).expect("there").flatten().collect();
    files.sort_by_key(fs::DirEntry::file_name);
    for file in &files {
        let name = file.file_name().into_string().expect("a name");
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}\"")), "{name} is not in fuzz/Cargo.toml");
        assert!(include_str!("main.rs").contains(&format!("fuzz_targets/{name}\"]")), "{name} is not in tests/fuzz");
    }
    assert_eq!(files.len(), manifest.matches("[[bin]]").count());
}

#[test]
fn every_answer_to_a_send_is_read_by_the_evidence_in_it() {
    check("answer", answer::holds, &seeds::answers(), 12);
}

#[test]
fn no_configuration_shows_a_secret() {
    check("config", config::holds, &seeds::configurations(), 2);
}

#[test]
fn events_are_those_of_the_json() {
    check("event_hook", event_hook::holds, &seeds::event_hooks(), 2);
}

#[test]
fn a_head_is_read_as_by_hyper() {
    check("head", head::holds, &seeds::heads(), 5);
}

#[test]
fn messages_are_those_of_the_json_and_no_reply_shows_them() {
    check("hook", hook::holds, &seeds::hooks(), 3);
}

#[test]
fn numbers_are_e164_and_end_as_they_were_written() {
    check("phone", phone::holds, &seeds::phones(), 8);
}

#[test]
fn reports_are_believed_when_they_are_signed_and_not_otherwise() {
    check("report", report::holds, &seeds::reports(), 8);
}

#[test]
fn texts_reach_every_provider_as_they_are() {
    check("text", text::holds, &seeds::texts(), 6);
}

#[test]
fn tokens_admit_by_what_they_say_under_the_right_key() {
    check("token", token::holds, &seeds::tokens(), 4);
}
