//! The scripted Redis, and the proxy that miscounts replies.

use std::time::Duration;

use cache_tests::resp::{Connection, Reply};
use cache_tests::resp_frame::{length, render};
use cache_tests::{Answer, FakeRedis, FaultProxy, Mode, RedisServer, ports};

use crate::SOON;

/// Asks on a thread of its own: the client blocks.
async fn ask(connection: Connection, words: &[&str]) -> (Connection, Reply) {
    let words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
    let asking = tokio::task::spawn_blocking(move || {
        let mut connection = connection;
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let reply = connection.command(&words).unwrap();
        (connection, reply)
    });
    tokio::time::timeout(SOON, asking).await.unwrap().unwrap()
}

async fn open(port: u16) -> Connection {
    tokio::task::spawn_blocking(move || Connection::open(ports::local(port)).unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn it_answers_as_told_and_passes_on_the_rest() {
    let redis = RedisServer::start();
    let fake = FakeRedis::before(&redis, |call| match (call.name(), &*call.word(1)) {
        ("GET", "told") => Answer::Reply(Reply::Bulk(Some(b"by the script".to_vec()))),
        ("GET", "late") => Answer::After(Duration::from_millis(5), Box::new(Answer::ok())),
        _ => Answer::Pass,
    })
    .await;
    let connection = open(fake.addr().port()).await;
    let (connection, reply) = ask(connection, &["SET", "k", "v"]).await;
    assert_eq!(reply.text(), "OK");
    assert_eq!(redis.get("k"), Some(b"v".to_vec()));
    let (connection, reply) = ask(connection, &["get", "told"]).await;
    assert_eq!(reply.text(), "by the script");
    let (connection, reply) = ask(connection, &["GET", "late"]).await;
    assert_eq!(reply.text(), "OK");
    fake.script(|_| Answer::error("OOM full"));
    let (_, reply) = ask(connection, &["GET", "k"]).await;
    assert_eq!(reply, Reply::Error("OOM full".to_owned()));
    assert_eq!((fake.calls("GET"), fake.calls("SET"), fake.connections()), (3, 1, 1));
}

#[tokio::test]
async fn alone_it_knows_nothing_and_it_hangs_up_when_told() {
    let fake = FakeRedis::alone(|call| match call.name() {
        "QUIT" => Answer::Close,
        _ => Answer::Pass,
    })
    .await;
    let connection = open(fake.addr().port()).await;
    let (mut connection, reply) = ask(connection, &["GET", "k"]).await;
    assert!(reply.text().contains("unknown command 'GET'"), "{reply:?}");
    let ended = tokio::task::spawn_blocking(move || connection.command(&[b"QUIT"]));
    assert!(ended.await.unwrap().is_err());
}

#[tokio::test]
async fn a_reply_that_comes_twice_or_never_shifts_all_later_ones() {
    let redis = RedisServer::start();
    for key in ["a", "b", "c", "d"] {
        redis.command(&["SET", key, key]);
    }
    let proxy = FaultProxy::start(redis.port()).await;
    for (mode, expected) in
        [(Mode::RepeatReply(1), ["a", "b", "b"]), (Mode::RepeatReply(9), ["a", "b", "c"])]
    {
        proxy.set(mode).await;
        let mut connection = open(proxy.port()).await;
        for (key, expected) in ["a", "b", "c"].into_iter().zip(expected) {
            let reply;
            (connection, reply) = ask(connection, &["GET", key]).await;
            assert_eq!(reply.text(), expected);
        }
    }
    proxy.set(Mode::LoseReply(0)).await;
    let connection = open(proxy.port()).await;
    let both = tokio::task::spawn_blocking(move || {
        let mut connection = connection;
        connection.send(&[b"GET", b"a"]).unwrap();
        connection.command(&[b"GET", b"b"]).unwrap()
    });
    assert_eq!(both.await.unwrap().text(), "b");
}

#[test]
fn a_reply_ends_where_it_ends() {
    let whole = [
        "+OK\r\n",
        "-ERR no\r\n",
        ":7\r\n",
        "$-1\r\n",
        "*-1\r\n",
        "$0\r\n\r\n",
        "$4\r\n\r\n\r\n\r\n",
        "*2\r\n$1\r\na\r\n*1\r\n:1\r\n",
        ">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n",
        "_\r\n",
        "#t\r\n",
        "%1\r\n+a\r\n:1\r\n",
        "|1\r\n+a\r\n:1\r\n$1\r\nx\r\n",
        "=7\r\ntxt:abc\r\n",
        "*0\r\n",
    ];
    for reply in whole {
        let bytes = reply.as_bytes();
        assert_eq!(length(bytes), Some(bytes.len()), "{reply:?}");
        assert_eq!(length(&[bytes, b"+more\r\n"].concat()), Some(bytes.len()), "{reply:?}");
        for cut in 0..bytes.len() {
            assert_eq!(length(&bytes[..cut]), None, "{reply:?} at {cut}");
        }
    }
    let reply = Reply::Array(vec![Reply::Int(-1), Reply::Bulk(None), Reply::Simple("s".into())]);
    assert_eq!(render(&reply), b"*3\r\n:-1\r\n$-1\r\n+s\r\n");
}
