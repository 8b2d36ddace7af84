//! The backup script, against a real server.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use cache_tests::wait::poll_blocking;
use cache_tests::{RedisServer, Reply};
use tempfile::TempDir;

use super::file;

const PATIENCE: Duration = Duration::from_secs(20);

fn backup(redis: &RedisServer, folder: &Path) -> Command {
    let mut command = Command::new(file("backup"));
    command.args(["--port", &redis.port().to_string()]).arg(folder).stdin(Stdio::null());
    command
}

fn run(command: &mut Command) -> Output {
    command.output().expect("the script can be started")
}

fn kept(output: &Output) -> PathBuf {
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}{error}");
    PathBuf::from(out.trim_end())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("listed"));
    let mut names: Vec<_> =
        names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}

fn folder() -> TempDir {
    tempfile::Builder::new().prefix("backup-").tempdir().expect("a folder")
}

/// A server that starts with this file.
fn restored(copy: &Path) -> RedisServer {
    let (dir, name) = (copy.parent().expect("a folder"), copy.file_name().expect("a name"));
    let builder = RedisServer::builder().arg("--dir").arg(dir.to_str().expect("text"));
    builder.arg("--dbfilename").arg(name.to_str().expect("text")).start()
}

#[test]
fn what_it_keeps_can_be_restored() {
    let (redis, folder) = (RedisServer::start(), folder());
    for n in 0..100 {
        redis.command(&["SET", &format!("k:{n}"), &format!("value {n}")]);
    }
    let copy = kept(&run(&mut backup(&redis, folder.path())));
    assert_eq!(files(folder.path()), [copy.file_name().unwrap().to_string_lossy()]);
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    // What comes later is not in it.
    redis.flushall();
    assert_eq!(
        kept(&run(backup(&redis, folder.path()).args(["--keep", "9"]))).parent(),
        copy.parent()
    );
    let again = restored(&copy);
    assert_eq!(again.command(&["DBSIZE"]), Reply::Int(100));
    assert_eq!(again.get("k:42").as_deref(), Some(&b"value 42"[..]));
}

/// Pinned: the page ran it as a user that there was not.
#[test]
fn it_runs_as_the_user_for_it() {
    let acl = file("users.acl");
    let builder = RedisServer::builder().arg("--aclfile").arg(acl.to_str().expect("text"));
    let (redis, folder) = (builder.login("admin", "CHANGE-ME-admin").start(), folder());
    redis.command(&["SET", "k", "v"]);
    let mut command = backup(&redis, folder.path());
    command.args(["--user", "backup", "--rdb"]).arg(redis.dir().join("dump.rdb"));
    let copy = kept(&run(command.env("REDISCLI_AUTH", "CHANGE-ME-backup")));
    assert_eq!(restored(&copy).get("k").as_deref(), Some(&b"v"[..]));
}

/// It waits for a save that runs already, and then for one of its own: what was written after the
/// first had begun is in the copy.
#[test]
fn it_waits_for_its_own_save() {
    let (redis, folder) = (RedisServer::start(), folder());
    for n in 0..50 {
        redis.command(&["SET", &format!("k:{n}"), "v"]);
    }
    // For each key, in microseconds.
    redis.config_set("rdb-key-save-delay", "20000");
    assert!(!redis.command(&["BGSAVE"]).is_error());
    redis.command(&["SET", "late", "v"]);
    let mut going = backup(&redis, folder.path()).stdout(Stdio::piped()).spawn().unwrap();
    assert!(going.try_wait().unwrap().is_none(), "it does not wait");
    assert_eq!(redis.info("persistence", "rdb_bgsave_in_progress").as_deref(), Some("1"));
    redis.config_set("rdb-key-save-delay", "0");
    assert!(poll_blocking(PATIENCE, || going.try_wait().unwrap()).is_some(), "it hangs");
    let copy = kept(&going.wait_with_output().unwrap());
    assert_eq!(restored(&copy).command(&["DBSIZE"]), Reply::Int(51));
}

#[test]
fn a_save_that_fails_leaves_nothing() {
    let (redis, folder) = (RedisServer::start(), folder());
    redis.command(&["SET", "k", "v"]);
    // An older file, which must not be taken for the new one.
    redis.command(&["SAVE"]);
    let (file, old) = (redis.dir().join("dump.rdb"), redis.dir().join("old.rdb"));
    fs::rename(&file, &old).unwrap();
    let output = run(backup(&redis, folder.path()).arg("--rdb").arg(&old));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains("is not what was saved"), "{}", text(&output.stderr));
    assert!(files(folder.path()).is_empty());

    // Something in its way.
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let output = run(&mut backup(&redis, folder.path()));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains("the save has failed"), "{}", text(&output.stderr));
    assert!(files(folder.path()).is_empty());
}

#[test]
fn a_copy_that_does_not_pass_the_check_is_not_kept() {
    let (redis, folder, bin) = (RedisServer::start(), folder(), self::folder());
    redis.command(&["SET", "k", "v"]);
    let check = bin.path().join("redis-check-rdb");
    fs::write(&check, "#!/bin/sh\nexit 1\n").unwrap();
    fs::set_permissions(&check, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.path().display(), std::env::var("PATH").unwrap());
    let output = run(backup(&redis, folder.path()).env("PATH", path));
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("damaged"), "{}", text(&output.stderr));
    assert!(files(folder.path()).is_empty());
}

#[test]
fn the_newest_stay() {
    let (redis, folder) = (RedisServer::start(), folder());
    redis.command(&["SET", "k", "v"]);
    let old = ["redis-20200101T000000Z.rdb", "redis-20210101T000000Z.rdb", "another.rdb"];
    for name in old {
        fs::write(folder.path().join(name), "").unwrap();
    }
    let copy = kept(&run(backup(&redis, folder.path()).args(["--keep", "2"])));
    let mut left = vec![old[2].to_owned(), old[1].to_owned()];
    left.push(copy.file_name().unwrap().to_string_lossy().into_owned());
    assert_eq!(files(folder.path()), left);
}

#[test]
fn it_says_what_is_wrong() {
    let redis = RedisServer::builder().password("s3cret").start();
    let folder = folder();
    let mut command = backup(&redis, folder.path());
    let output = run(command.env_remove("REDISCLI_AUTH"));
    assert!(!output.status.success() && text(&output.stderr).contains("NOAUTH"));
    let output = run(backup(&redis, folder.path()).env("REDISCLI_AUTH", "wr0ng"));
    assert!(!output.status.success());
    let said = text(&output.stderr) + &text(&output.stdout);
    assert!(!said.contains("wr0ng") && !said.contains("s3cret"), "{said}");
    kept(&run(backup(&redis, folder.path()).env("REDISCLI_AUTH", "s3cret")));

    redis.kill();
    let output = run(&mut backup(&redis, folder.path()));
    assert!(!output.status.success() && text(&output.stderr).contains("connect"));
    for wrong in [&["--keep", "0", "f"][..], &["--keep"], &["--nonsense", "1"], &[], &["a", "b"]] {
        let output = run(Command::new(file("backup")).args(wrong));
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}
