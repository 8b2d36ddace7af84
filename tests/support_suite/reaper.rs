//! Servers end with the test binary, even one that is killed.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use cache_tests::clock::Deadline;
use cache_tests::ports::local;
use cache_tests::resp::Connection;
use cache_tests::{RedisServer, eventually};

use crate::SOON;

const ROLE: &str = "CACHE_TESTS_HOLD_A_SERVER";

/// Runs itself in a second process, which it kills.
#[tokio::test]
async fn a_server_dies_with_a_killed_test_binary() {
    if env::var_os(ROLE).is_some() {
        return hold_a_server();
    }
    let mut holder = Command::new(env::current_exe().unwrap())
        .args(["--exact", "reaper::a_server_dies_with_a_killed_test_binary", "--nocapture"])
        .env(ROLE, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines().map_while(Result::ok);
    let held = lines.find_map(|line| Some(line.split_once("holds ")?.1.to_owned()));
    let (port, dir) = held.as_deref().unwrap().split_once(' ').unwrap();
    let addr = local(port.parse().unwrap());
    assert!(Connection::open(addr).is_ok());
    holder.kill().unwrap();
    holder.wait().unwrap();
    eventually(SOON, "the server is gone", || Connection::open(addr).is_err()).await;
    fs::remove_dir_all(dir).unwrap();
}

#[expect(clippy::print_stdout, reason = "that is how the other process learns the port")]
fn hold_a_server() {
    let redis = RedisServer::start();
    println!("holds {} {}", redis.port(), redis.dir().display());
    let deadline = Deadline::after(SOON);
    while !deadline.passed() {
        std::thread::park_timeout(deadline.left());
    }
}
