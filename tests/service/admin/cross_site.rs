//! No page of another origin changes anything with a browser's help.

use super::rig::{OPERATOR, bearer, json, rig, rig_with};
use crate::setup::memory_cache;

const JSON: &str = "Content-Type: application/json";

#[tokio::test]
async fn what_a_form_or_another_page_could_send_changes_nothing() {
    let rig = rig(memory_cache()).await;
    rig.cache.set("reports", "ws1:1", "value").await.unwrap();
    let auth = bearer(OPERATOR);
    let own = format!("Origin: http://{}", rig.addr());
    let clear = async |fields: &[&str]| {
        let fields = [&[auth.as_str()], fields].concat();
        rig.ask("POST", "/clear?namespace=reports", &fields, b"").await
    };
    for (fields, status) in [
        (&[][..], 415),
        (&["Content-Type: text/plain"], 415),
        (&["Content-Type: application/x-www-form-urlencoded"], 415),
        (&["Content-Type: multipart/form-data; boundary=x"], 415),
        (&[JSON, "Sec-Fetch-Site: cross-site"], 403),
        (&[JSON, "Sec-Fetch-Site: same-site"], 403),
        (&[JSON, "Sec-Fetch-Site: cross-site", &own], 403),
        (&[JSON, "Origin: https://evil.example"], 403),
        (&[JSON, "Origin: null"], 403),
    ] {
        let response = clear(fields).await;
        assert_eq!(response.status, status, "{fields:?}");
        assert_eq!(json(&response)["status"], status);
    }
    assert_eq!(rig.cache.get::<String>("reports", "ws1:1").await.unwrap().unwrap(), "value");
    for fields in [
        &[JSON, "Sec-Fetch-Site: same-origin"][..],
        &[JSON, "Sec-Fetch-Site: none"],
        &[JSON, &own],
        &[JSON],
        &["Content-Type: Application/JSON; charset=utf-8"],
    ] {
        assert_eq!(clear(fields).await.status, 200, "{fields:?}");
    }
    assert_eq!(rig.cache.get::<String>("reports", "ws1:1").await.unwrap(), None);
}

#[tokio::test]
async fn another_origin_may_be_trusted_by_name() {
    let trusting = |admin: cache_axum::admin::Admin<_>| admin.allow_origin("https://ops.example");
    let rig = rig_with(memory_cache(), trusting).await;
    let auth = bearer(OPERATOR);
    for (origin, status) in [
        ("Origin: https://ops.example", 200),
        ("Origin: https://ops.example:8443", 403),
        ("Origin: http://ops.example", 403),
        ("Origin: https://ops.example.evil.example", 403),
    ] {
        let response = rig.ask("POST", "/clear?all=true", &[&auth, JSON, origin], b"").await;
        assert_eq!(response.status, status, "{origin}");
    }
}
