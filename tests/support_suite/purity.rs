//! The policy of cache-tower decides, and does nothing else: no async, no I/O, no clock, no task.

use std::fs;
use std::path::{Path, PathBuf};

use crate::rust_tokens::tokens;

const POLICY: &str = "cache-tower/src/policy";

/// Words that nothing pure has a use for.
const WORDS: [&str; 23] = [
    "async",
    "await",
    "spawn",
    "Future",
    "Waker",
    "Instant",
    "Clock",
    "sleep",
    "tokio",
    "futures",
    "tower",
    "hyper",
    "axum",
    "redis",
    "cache_core",
    "tracing",
    "fastrand",
    "println",
    "eprintln",
    "thread_local",
    "static",
    "unsafe",
    "extern",
];

/// Paths that lead out, as their words.
const PATHS: [&[&str]; 9] = [
    &["std", "fs"],
    &["std", "io"],
    &["std", "net"],
    &["std", "env"],
    &["std", "thread"],
    &["std", "process"],
    &["std", "sync"],
    &["SystemTime", "now"],
    &["UNIX_EPOCH", "elapsed"],
];

#[test]
fn policy_is_pure() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    collect(&root.join(POLICY), &mut files);
    assert!(files.len() > 10, "only {files:?}");
    let faults: Vec<_> = files
        .iter()
        .flat_map(|file| {
            let source = fs::read_to_string(file).unwrap();
            let name = file.strip_prefix(root).unwrap().display().to_string();
            impurities(&source).into_iter().map(move |fault| format!("{name}: {fault}"))
        })
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn impurities_are_found() {
    for impure in [
        "pub(crate) async fn f() {}",
        "fn f() { g().await }",
        "use tokio::time;",
        "use std::{fs, cmp};",
        "use std::{cmp, io::{self, Read}};",
        "fn f() { std::fs::read(\"x\") }",
        "fn f() { SystemTime::now() }",
        "use std::time::Instant;",
        "use crate::config::Shared;",
        "fn f() { crate::lookup::g() }",
        "fn f<'a>(x: &'a str) { let c = '\"'; spawn(x); let d = '\"'; }",
        "fn f() { r#\"a \" b\"#; spawn() }",
        "static COUNT: AtomicU64 = AtomicU64::new(0);",
    ] {
        assert!(!impurities(impure).is_empty(), "{impure}");
    }
    for pure in [
        "//! no async, no spawn",
        "/* tokio /* nested */ async */ fn f() {}",
        "const A: &str = \"async // \\\" spawn\"; // .await",
        "const A: &[u8] = b\"tokio\"; const B: &str = r#\"\"async\"\"#;",
        "fn f(x: &'static str) -> HeaderName { HeaderName::from_static(x) }",
        "use std::time::{Duration, SystemTime, UNIX_EPOCH};",
        "use std::collections::BTreeMap;",
        "use crate::policy::field::date; use super::Millis;",
        "fn asynchronous() { let tower_bell = 1; }",
    ] {
        assert_eq!(impurities(pure), [""; 0], "{pure}");
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn impurities(source: &str) -> Vec<String> {
    let tokens = tokens(source);
    let words = tokens.iter().filter(|token| WORDS.contains(&token.as_str())).cloned();
    let mut faults: Vec<_> = words.collect();
    for path in paths(&tokens) {
        let leaves = matches!(path.as_slice(), ["crate", next, ..] if *next != "policy");
        if leaves || PATHS.iter().any(|impure| path.windows(2).any(|pair| pair == *impure)) {
            faults.push(path.join("::"));
        }
    }
    faults
}

/// Every path, those of a `use` with braces one by one.
fn paths(tokens: &[String]) -> Vec<Vec<&str>> {
    let mut found = Vec::new();
    let mut path: Vec<&str> = Vec::new();
    // What stands before each brace that is open.
    let mut open: Vec<Vec<&str>> = Vec::new();
    let mut joined = false;
    for token in tokens {
        let is_word = token.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        match token.as_str() {
            "::" => joined = true,
            word if is_word && joined => {
                path.push(word);
                joined = false;
            }
            "{" => {
                let before = if joined { std::mem::take(&mut path) } else { Vec::new() };
                found.push(std::mem::replace(&mut path, before.clone()));
                open.push(before);
                joined = !path.is_empty();
            }
            "}" => {
                found.push(std::mem::take(&mut path));
                open.pop();
                joined = false;
            }
            "," => {
                let before = open.last().cloned().unwrap_or_default();
                found.push(std::mem::replace(&mut path, before));
                joined = !path.is_empty();
            }
            word => {
                found.push(std::mem::take(&mut path));
                path.extend(is_word.then_some(word));
                joined = false;
            }
        }
    }
    found.push(path);
    found
}
