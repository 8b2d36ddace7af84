//! The script that starts Sentinels, as people use it.

use std::process::Command;

use cache_tests::SentinelSet;

#[test]
fn a_set_knows_its_primary_and_can_fail_over() {
    let set = SentinelSet::builder().password("a pass").sentinel_password("other").start();
    let first = set.primary();
    assert_eq!(first, set.servers()[0]);
    assert!(!set.command(first, &["SET", "k", "v"]).is_error());
    // The replica has it.
    assert_eq!(set.command(first, &["WAIT", "1", "10000"]).int(), Some(1));
    let second = set.fail_over();
    assert_eq!(second, set.servers()[1]);
    assert_eq!(set.command(second, &["GET", "k"]).text(), "v");
}

#[test]
fn what_the_script_does_not_understand_is_one_line() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/ops/redis/sentinel");
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().to_str().unwrap();
    for (args, expected) in [
        (&[][..], "which directory"),
        (&[dir, "--serves", "1"][..], "unknown option --serves"),
        (&[dir, "--servers"][..], "--servers wants a value"),
    ] {
        let output = Command::new(script).args(args).output().unwrap();
        assert!(!output.status.success());
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(expected) && text.lines().count() == 1, "{text}");
    }
}
