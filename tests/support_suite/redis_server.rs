//! A real server: what its helpers see, and the faults it can have.

use std::env;
use std::io::ErrorKind;
use std::process::Command;
use std::time::Duration;

use cache_tests::wait::poll_blocking;
use cache_tests::{RedisServer, Reply};

#[test]
fn helpers_see_what_is_in_it() {
    let redis = RedisServer::start();
    assert_eq!(redis.url(), format!("redis://127.0.0.1:{}", redis.port()));
    assert_eq!(redis.command(&["SET", "a:1", "one"]), Reply::Simple("OK".into()));
    redis.command_bytes(&[b"SET", b"a:2", b"\x00\xff\r\n"]);
    redis.command(&["SET", "b", "other"]);
    assert_eq!(redis.keys("a:*"), ["a:1", "a:2"]);
    assert_eq!(redis.get("a:2").unwrap(), b"\x00\xff\r\n");
    assert_eq!(redis.get("missing"), None);
    redis.flushall();
    assert!(redis.keys("*").is_empty());
}

#[test]
fn replies_of_every_kind_are_read() {
    let redis = RedisServer::start();
    assert_eq!(redis.command(&["INCR", "n"]).int(), Some(1));
    assert!(redis.command(&["GET", "none"]).is_nil());
    assert!(redis.command(&["BLPOP", "none", "0.01"]).is_nil());
    assert!(redis.command(&["NO-SUCH-COMMAND"]).is_error());
    let nested = redis.command(&["EVAL", "return {1, {'two', false}}", "0"]);
    let two = Reply::Bulk(Some(b"two".to_vec()));
    let inner = Reply::Array(vec![two, Reply::Bulk(None)]);
    assert_eq!(nested, Reply::Array(vec![Reply::Int(1), inner]));
}

#[test]
fn calls_are_counted_by_the_server() {
    let redis = RedisServer::start();
    assert_eq!(redis.calls("get"), 0);
    for _ in 0..3 {
        redis.get("k");
    }
    assert_eq!(redis.calls("GET"), 3);
    assert_eq!(redis.calls("config|set"), 0);
    redis.config_set("maxmemory", "10mb");
    assert_eq!(redis.calls("config|set"), 1);
    assert_eq!(redis.info("memory", "maxmemory").as_deref(), Some("10485760"));
    redis.reset_stats();
    assert_eq!(redis.calls("get"), 0);
}

#[test]
#[should_panic(expected = "CONFIG SET no-such-setting 1")]
fn a_refused_helper_command_panics_with_its_text() {
    RedisServer::start().config_set("no-such-setting", "1");
}

#[test]
fn a_killed_server_comes_back_empty_on_the_same_port() {
    let redis = RedisServer::start();
    redis.command(&["SET", "k", "v"]);
    let port = redis.port();
    redis.kill();
    assert_eq!(redis.connect().unwrap_err().kind(), ErrorKind::ConnectionRefused);
    redis.restart();
    assert_eq!(redis.port(), port);
    assert_eq!(redis.get("k"), None);
    redis.restart(); // also while it runs
    assert!(redis.keys("*").is_empty());
}

#[test]
fn a_stopped_server_answers_once_resumed() {
    let redis = RedisServer::start();
    let mut open = redis.connect().unwrap();
    redis.stop();
    let answer = std::thread::spawn(move || open.command(&[b"PING"]));
    let early = || answer.is_finished().then_some(());
    assert_eq!(poll_blocking(Duration::from_millis(50), early), None);
    redis.resume();
    assert_eq!(answer.join().unwrap().unwrap(), Reply::Simple("PONG".into()));
}

#[test]
fn a_stopped_server_can_be_killed() {
    let redis = RedisServer::start();
    redis.stop();
    redis.kill();
    redis.restart();
}

#[test]
fn a_password_is_used_by_the_helpers() {
    let redis = RedisServer::builder().password("secret").start();
    assert_eq!(redis.url(), format!("redis://:secret@127.0.0.1:{}", redis.port()));
    assert_eq!(redis.url_through(1), "redis://:secret@127.0.0.1:1");
    redis.command(&["SET", "k", "v"]);
    assert_eq!(redis.get("k").unwrap(), b"v");
}

#[test]
fn arguments_win_over_the_defaults() {
    let redis = RedisServer::builder().arg("--appendonly").arg("yes").start();
    redis.command(&["SET", "kept", "v"]);
    assert!(
        redis.dir().join("appendonlydir").exists() || redis.dir().join("appendonly.aof").exists()
    );
}

#[test]
#[should_panic(expected = "redis-server doesn't start: ")]
fn a_bad_argument_is_explained() {
    RedisServer::builder().arg("--no-such-option").arg("1").start();
}

#[test]
fn a_missing_binary_gives_one_clear_line() {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "redis_server::helpers_see_what_is_in_it"])
        .env("PATH", "/nowhere")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stdout);
    let line = "redis-server not found: run ./tests/run, which installs it";
    assert_eq!(text.lines().filter(|found| *found == line).count(), 1, "{text}");
}
