//! Ends the servers of a test binary that can't do it itself: killed, or they sit in a `static`.
//!
//! One shell per test binary reads the ids of its children from a pipe. The pipe closes when the
//! binary is gone, however it went; the shell then kills what is still on its list.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

const SCRIPT: &str = r#"
trap '' INT TERM HUP
ids=' '
while read -r sign id; do
  case $sign in
    +) ids="$ids$id " ;;
    -) ids="${ids%%" $id "*} ${ids#*" $id "}" ;;
  esac
done
for id in $ids; do kill -s KILL -- "$id"; done
"#;

static REAPER: OnceLock<Mutex<Child>> = OnceLock::new();

/// From now on the child `id` dies with this process; a negative one is that of a process group.
pub(crate) fn watch(id: i64) {
    tell('+', id);
}

/// To be called before the child is waited for: afterwards the id may belong to someone else.
pub(crate) fn forget(id: i64) {
    tell('-', id);
}

fn tell(sign: char, id: i64) {
    let mut reaper = REAPER.get_or_init(start).lock().unwrap_or_else(PoisonError::into_inner);
    let pipe = reaper.stdin.as_mut().expect("piped");
    writeln!(pipe, "{sign} {id}").expect("the reaper reads its list");
}

fn start() -> Mutex<Child> {
    let shell = Command::new("sh")
        .args(["-c", SCRIPT])
        .process_group(0) // a Ctrl-C or a killed group takes the tests, not their reaper
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh is there");
    Mutex::new(shell)
}
