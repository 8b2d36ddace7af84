//! Input that nobody means well with gets a clear refusal, and the service goes on.

use cache_tests::http_client::Client;

use super::rig::{OPERATOR, bearer, encoded, json, rig};
use crate::setup::{memory_cache, redis_cache};

#[tokio::test]
async fn bodies_that_are_not_as_they_have_to_be() {
    let rig = rig(memory_cache()).await;
    let deep = format!(r#"{{"keys":{}{}}}"#, "[".repeat(20_000), "]".repeat(20_000));
    let huge_number = r#"{"keys":[1e999999]}"#.to_owned();
    let many = format!(r#"{{"keys":[{}"k"]}}"#, r#""k","#.repeat(10_000));
    let long = format!(r#"{{"keys":["{}"]}}"#, "k".repeat(60_000));
    let stars = format!(r#"{{"patterns":["{}"]}}"#, "*a".repeat(10_000));
    let runs = format!(r#"{{"patterns":["{}x"]}}"#, "*".repeat(400));
    for (body, status) in [
        (deep.as_bytes(), 400),
        (huge_number.as_bytes(), 400),
        (many.as_bytes(), 422),
        (long.as_bytes(), 422),
        (stars.as_bytes(), 422),
        (runs.as_bytes(), 200),
        (b"{", 400),
        (b"[]", 400),
        (b"[\"users\",[\"1\"]]", 400),
        (b"null", 400),
        (b"\"keys\"", 400),
        (b"{\"keys\":\"a\"}", 400),
        (b"{\"keys\":[null]}", 400),
        (b"{\"unknown\":1}", 400),
        (b"{\"soft\":true,\"soft\":false,\"workspace\":\"a\"}", 400),
        (b"{\"keys\":[\"\xFF\xFE\"]}", 400),
        (b"\xEF\xBB\xBF{}", 400),
        (b"{\"keys\":[\"a\\u0000b\"]}", 422),
        (b"{\"keys\":[\"\\uD800\"]}", 400),
        (b"{\"patterns\":[\"a\\r\\nFLUSHALL\"]}", 422),
        (b"{}{}", 400),
        (b"", 422),
    ] {
        let fields = [&*bearer(OPERATOR), "Content-Type: application/json"];
        let response = rig.ask("POST", "/invalidate", &fields, body).await;
        let sent = String::from_utf8_lossy(body.get(..40).unwrap_or(body));
        assert_eq!(response.status, status, "{sent}: {}", response.text());
        if status != 200 {
            assert_eq!(json(&response)["status"], status);
            assert!(response.body.len() < 1_000, "{sent}: {}", response.text());
        }
    }
    for (path, body) in [("/clear?all=true", "{\"all\":true}"), ("/clear?all=true", "[1]")] {
        assert_eq!(rig.post(path, OPERATOR, body).await.status, 400);
    }
}

#[tokio::test]
async fn bodies_that_are_too_large() {
    let rig = rig(memory_cache()).await;
    let large = format!(r#"{{"keys":["{}"]}}"#, "k".repeat(100_000));
    let response = rig.post("/invalidate", OPERATOR, &large).await;
    assert_eq!((response.status, json(&response)["status"].as_u64()), (413, Some(413)));
    // One that does not say so, and has no end.
    let mut client = Client::connect(rig.addr()).await.unwrap();
    let (name, token) = ("Authorization", bearer(OPERATOR));
    let headers = [
        (name, token.split_once(": ").unwrap().1),
        ("Content-Type", "application/json"),
        ("Transfer-Encoding", "chunked"),
    ];
    client.send("POST", "/api/cache/invalidate", &headers, b"").await.unwrap();
    let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    let mut sent = 0;
    while sent < 64 && client.send_raw(chunk.as_bytes()).await.is_ok() {
        sent += 1;
    }
    // Either it has answered, or closed the connection on who goes on sending.
    if let Ok(head) = client.read_head().await {
        assert_eq!(head.status, 413);
    }
    assert_eq!(rig.get("/stats", OPERATOR).await.status, 200, "it goes on");
}

#[tokio::test]
async fn queries_that_are_not_as_they_have_to_be() {
    let rig = rig(redis_cache()).await;
    for (path, status) in [
        ("/entry".to_owned(), 400),
        ("/entry?key=".to_owned(), 404),
        ("/entry?key=a&key=b".to_owned(), 400),
        ("/entry?key=%00".to_owned(), 404),
        ("/entry?key=%FF%FE".to_owned(), 404),
        ("/entry?key=%".to_owned(), 404),
        ("/entry?key=a%0D%0AFLUSHALL".to_owned(), 404),
        (format!("/entry?key={}", "a".repeat(20_000)), 404),
        (format!("/entry?key={}", encoded("*:*:*")), 404),
        ("/entry?key=x&body=true".to_owned(), 400),
        (format!("/stats?namespace={}", "n".repeat(20_000)), 404),
        ("/stats?namespace=%00".to_owned(), 404),
        (format!("/keys/top?namespace={}", encoded("../../etc")), 200),
        (format!("/workspace/{}/stats", "w".repeat(5_000)), 200),
    ] {
        let response = rig.get(&path, OPERATOR).await;
        let shown = path.get(..60).unwrap_or(&path);
        assert_eq!(response.status, status, "{shown}: {}", response.text());
        if status != 200 {
            assert_eq!(json(&response)["status"], status, "{shown}");
        }
    }
    // A problem tells nothing back that a page could take for markup.
    let markup = rig.get("/entry?%3Cscript%3Ealert(1)%3C/script%3E=1", OPERATOR).await;
    assert_eq!(markup.status, 400);
    assert_eq!(markup.header("content-type"), Some("application/problem+json"));
    assert_eq!(markup.header("x-content-type-options"), Some("nosniff"));
}

/// Pinned: names of namespaces that are not there must not make them: there is place for 1,024.
#[tokio::test]
async fn names_that_are_asked_for_make_no_namespaces() {
    let rig = rig(memory_cache()).await;
    let before = rig.cache.known_namespaces();
    for n in 0..20 {
        let post = async |path: String, body: String| rig.post(&path, OPERATOR, &body).await.status;
        assert_eq!(post(format!("/clear?namespace=new{n}"), String::new()).await, 404);
        assert_eq!(post(format!("/version/bump?namespace=new{n}"), String::new()).await, 404);
        let keys = format!(r#"{{"namespace":"new{n}","keys":["a"]}}"#);
        assert_eq!(post("/invalidate".to_owned(), keys).await, 422);
        rig.get(&format!("/keys/top?namespace=new{n}"), OPERATOR).await;
        rig.get(&format!("/stats?namespace=new{n}"), OPERATOR).await;
    }
    assert_eq!(rig.cache.known_namespaces(), before);
}
