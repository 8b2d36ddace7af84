//! What lies in `examples/ops/redis`: it starts, it runs, and what it says is so.

mod backup;
mod compose;
mod conf;

use std::path::PathBuf;

pub(super) fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/ops/redis").join(name)
}

pub(super) fn read(name: &str) -> String {
    let file = file(name);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Nothing lies there that the page does not name.
#[test]
fn the_page_names_what_there_is() {
    let page = read("README.md");
    for entry in std::fs::read_dir(file("")).expect("a folder") {
        let name = entry.expect("it is listed").file_name().to_string_lossy().into_owned();
        let named = page.lines().any(|l| l.starts_with("| `") && l.contains(&format!("`{name}`")));
        assert!(named || name == "README.md", "{name}");
    }
}
