//! `cache-tower/REQUIREMENTS.md` is true: each row has a test that exists, or says that it has none.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// How many rows may say `not yet`. Whoever meets a requirement lowers it; nobody raises it.
const NOT_YET: usize = 0;

const PAGE: &str = "cache-tower/REQUIREMENTS.md";
const STRENGTHS: [&str; 5] = ["MUST", "MUST NOT", "SHOULD", "SHOULD NOT", "rule"];

struct Row<'a> {
    line: usize,
    cells: Vec<&'a str>,
}

impl Row<'_> {
    fn id(&self) -> &str {
        self.cells[0]
    }

    fn how(&self) -> &str {
        self.cells[4]
    }

    fn tests(&self) -> &str {
        self.cells[5]
    }

    /// What is wrong with it.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.cells.len() != 6 {
            return vec![format!("{} cells", self.cells.len())];
        }
        if self.cells.iter().any(|cell| cell.is_empty()) {
            faults.push("an empty cell".to_owned());
        }
        if !self.cells[1].starts_with("RFC ") {
            faults.push(format!("no section: {}", self.cells[1]));
        }
        if !STRENGTHS.contains(&self.cells[2]) {
            faults.push(format!("no strength: {}", self.cells[2]));
        }
        match self.tests() {
            "not yet" => {}
            "none" => {
                let explained = ["By choice: ", "Not applicable: "];
                if !explained.iter().any(|why| self.how().contains(why)) {
                    faults.push("no test, and no reason for it".to_owned());
                }
            }
            tests => faults.extend(tests.split(", ").filter_map(|test| missing(test).err())),
        }
        faults
    }
}

#[test]
fn every_test_that_the_page_names_exists() {
    let page = fs::read_to_string(root().join(PAGE)).unwrap();
    let rows = rows(&page);
    assert!(rows.len() > 100, "only {} rows were read", rows.len());

    let mut faults = Vec::new();
    let mut ids = HashSet::new();
    for row in &rows {
        let mut found = row.faults();
        if !ids.insert(row.id()) {
            found.push("an id that is there twice".to_owned());
        }
        let at = |fault| format!("{PAGE}:{}: {}: {fault}", row.line, row.id());
        faults.extend(found.into_iter().map(at));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));

    let open: Vec<_> = rows.iter().filter(|row| row.tests() == "not yet").map(Row::id).collect();
    assert_eq!(open.len(), NOT_YET, "lower NOT_YET when there are fewer: {open:#?}");
}

#[test]
fn what_is_not_there_is_found_missing() {
    let here = "support::requirements::what_is_not_there_is_found_missing";
    assert_eq!(missing(&format!("`{here}`")), Ok(()));
    for wrong in [
        here,
        "`support::requirements::nothing`",
        // A function, but no test.
        "`support::requirements::missing`",
        "`support::nowhere::what_is_not_there_is_found_missing`",
        "`nobody::requirements::what_is_not_there_is_found_missing`",
        "`what_is_not_there_is_found_missing`",
    ] {
        assert!(missing(wrong).is_err(), "{wrong}");
    }
    let faulty = |line: &str| rows(line).iter().flat_map(Row::faults).count();
    assert_eq!(faulty("| 1-a | RFC 1 §1 | MUST | do | done | not yet |"), 0);
    assert_eq!(faulty("| 1-a | RFC 1 §1 | MUST | do | By choice: so | none |"), 0);
    assert_eq!(faulty("| 1-a | RFC 1 §1 | MUST | do | done | none |"), 1);
    assert_eq!(faulty("| 1-a | RFC 1 §1 | MAY | do | | not yet |"), 2);
    assert_eq!(faulty("| 1-a | RFC 1 §1 | MUST | done | not yet |"), 1);
}

/// The rows of all tables, but for their heads.
fn rows(page: &str) -> Vec<Row<'_>> {
    page.lines()
        .enumerate()
        .filter_map(|(index, line)| {
            let cells: Vec<_> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').collect();
            let cells: Vec<_> = cells.into_iter().map(str::trim).collect();
            let is_head = matches!(cells.first(), Some(&("id" | "---")));
            (!is_head).then_some(Row { line: index + 1, cells })
        })
        .collect()
}

/// Whether a test is missing, by its path in the sources: `` `program::module::name` ``.
fn missing(test: &str) -> Result<(), String> {
    let path = test.strip_prefix('`').and_then(|test| test.strip_suffix('`'));
    let parts: Vec<_> = path.unwrap_or_default().split("::").collect();
    let [program, modules @ .., name] = parts.as_slice() else {
        return Err(format!("no path of a test: {test}"));
    };
    let folder = match *program {
        "cache-tower" => root().join("cache-tower/src"),
        "support" => root().join("tests/support_suite"),
        program => root().join("tests").join(program),
    };
    let file = module_file(folder, modules).ok_or(format!("no such module: {test}"))?;
    let source = fs::read_to_string(file).unwrap();
    if has_test(&source, name) { Ok(()) } else { Err(format!("no such test: {test}")) }
}

/// The file of a module; `tests` may be a part of the file above it.
fn module_file(mut folder: PathBuf, modules: &[&str]) -> Option<PathBuf> {
    let mut file = None;
    for module in modules {
        let candidates = [folder.join(format!("{module}.rs")), folder.join(module).join("mod.rs")];
        file = match candidates.into_iter().find(|candidate| candidate.is_file()) {
            Some(found) => Some(found),
            None if *module == "tests" => file,
            None => return None,
        };
        folder.push(module);
    }
    file
}

/// Whether there is a function of this name with an attribute that makes it a test.
fn has_test(source: &str, name: &str) -> bool {
    let mut attributed = false;
    source.lines().map(str::trim).any(|line| {
        if line.starts_with("#[") {
            attributed |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            return false;
        }
        let function = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
        let found = attributed
            && function
                .and_then(|function| function.strip_prefix(name))
                .is_some_and(|rest| rest.starts_with('('));
        attributed = false;
        found
    })
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
