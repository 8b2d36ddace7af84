//! Every dependency of the library crates builds with the workspace's `rust-version`.

use std::collections::{HashMap, HashSet};
use std::env;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const LIBRARIES: [&str; 3] = ["cache-core", "cache-tower", "cache-axum"];

#[test]
fn no_dependency_needs_a_newer_rust() {
    let metadata = metadata();
    let packages: HashMap<&str, &Value> =
        items(&metadata["packages"]).map(|package| (text(&package["id"]), package)).collect();
    let named = |id: &str| text(&packages[id]["name"]);
    let roots: Vec<&str> =
        packages.keys().copied().filter(|id| LIBRARIES.contains(&named(id))).collect();
    assert_eq!(roots.len(), LIBRARIES.len(), "{roots:?}");
    let ours = version(text(&packages[roots[0]]["rust_version"]));

    let newer: Vec<String> = closure(&metadata["resolve"], roots)
        .into_iter()
        .map(|id| packages[id])
        .filter(|package| {
            package["rust_version"].as_str().is_some_and(|theirs| version(theirs) > ours)
        })
        .map(|package| {
            let field = |name: &str| text(&package[name]);
            format!("{} {} needs {}", field("name"), field("version"), field("rust_version"))
        })
        .collect();
    assert!(newer.is_empty(), "newer than Rust {ours:?}: {newer:#?}");
}

#[test]
fn versions_are_compared_by_number() {
    assert!(version("1.9") < version("1.88"));
    assert!(version("1.88") < version("1.88.1"));
    assert_eq!(version("1.88"), version("1.88.0"));
}

/// Every package the roots need in order to be built by someone who depends on them.
fn closure<'a>(resolve: &'a Value, roots: Vec<&'a str>) -> HashSet<&'a str> {
    let nodes: HashMap<&str, &Value> =
        items(&resolve["nodes"]).map(|node| (text(&node["id"]), node)).collect();
    let (mut open, mut seen) = (roots, HashSet::new());
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        let needed = items(&nodes[id]["deps"]).filter(|dependency| {
            items(&dependency["dep_kinds"]).any(|kind| kind["kind"].as_str() != Some("dev"))
        });
        open.extend(needed.map(|dependency| text(&dependency["pkg"])));
    }
    seen
}

/// For this platform only: others would have to be downloaded.
fn metadata() -> Value {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--all-features"])
        .args(["--filter-platform", &host()])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn host() -> String {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

fn version(text: &str) -> (u32, u32, u32) {
    let mut numbers = text.split('.').map(|number| number.parse().unwrap());
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
