//! Exchanges as they might come, and some as they should not.

use std::time::{Duration, UNIX_EPOCH};

use fastrand::Rng;

pub(super) type Line = (&'static str, String);

/// A request, its response, and a later request.
#[derive(Clone, Debug)]
pub(super) struct Case {
    #[expect(dead_code, reason = "read in the message of a failure")]
    pub(super) seed: u64,
    pub(super) method: &'static str,
    pub(super) request: Vec<Line>,
    pub(super) status: u16,
    pub(super) response: Vec<Line>,
    /// How long the origin takes, milliseconds.
    pub(super) delay: u64,
    /// An unsafe request to the same URI thereafter, and the status of its response.
    pub(super) write: Option<(&'static str, u16)>,
    /// When the later request comes, milliseconds after the response.
    pub(super) wait: u64,
    pub(super) later_method: &'static str,
    pub(super) later: Vec<Line>,
    /// Whether the later request is for another URI.
    pub(super) elsewhere: bool,
}

impl Case {
    /// The case of a seed; the first request is sent at `now`, in unix milliseconds.
    pub(super) fn of(seed: u64, now: u64) -> Self {
        let rng = &mut Rng::with_seed(seed);
        let delay = pick(rng, &[0, 0, 0, 0, 500, 2_000, 30_000]);
        let selecting = selecting(rng);
        let mut request = selecting.clone();
        credentials(rng, &mut request);
        maybe(rng, 6, &mut request, "cache-control", &["no-store", "no-cache", "max-age=0"]);
        let mut later = if one_in(rng, 4) { self::selecting(rng) } else { selecting };
        maybe(rng, 10, &mut later, "x-a", &["2"]);
        credentials(rng, &mut later);
        wishes(rng, &mut later);
        Self {
            seed,
            method: if one_in(rng, 15) {
                pick(rng, &["HEAD", "HEAD", "POST", "OPTIONS"])
            } else {
                "GET"
            },
            request,
            status: status(rng),
            response: response(rng, now + delay),
            delay,
            write: one_in(rng, 15).then(|| {
                (pick(rng, &["POST", "PUT", "LINK"]), pick(rng, &[200, 204, 303, 400, 500]))
            }),
            wait: pick(rng, &[0, 0, 0, 999, 1_000, 5_000, 9_999, 10_000, 59_000, 60_000, 90_000]),
            later_method: if one_in(rng, 8) { pick(rng, &["HEAD", "POST"]) } else { "GET" },
            later,
            elsewhere: one_in(rng, 30),
        }
    }
}

fn one_in(rng: &mut Rng, n: u32) -> bool {
    rng.u32(..n) == 0
}

fn pick<T: Copy>(rng: &mut Rng, among: &[T]) -> T {
    among[rng.usize(..among.len())]
}

/// One time in `n`, a line with one of these values.
fn maybe(rng: &mut Rng, n: u32, lines: &mut Vec<Line>, name: &'static str, among: &[&str]) {
    if one_in(rng, n) {
        lines.push((name, pick(rng, among).to_owned()));
    }
}

/// What responses may vary by.
fn selecting(rng: &mut Rng) -> Vec<Line> {
    let mut lines = Vec::new();
    maybe(rng, 2, &mut lines, "accept", &["a/b", "c/d", ""]);
    maybe(rng, 3, &mut lines, "x-a", &["1", "2", "1, 2"]);
    maybe(rng, 4, &mut lines, "x-a", &["2"]);
    lines
}

fn credentials(rng: &mut Rng, lines: &mut Vec<Line>) {
    maybe(rng, 10, lines, "authorization", &["Bearer a", "Bearer b"]);
    maybe(rng, 10, lines, "cookie", &["a=b"]);
}

/// What a client may ask of the cache.
fn wishes(rng: &mut Rng, lines: &mut Vec<Line>) {
    let directives = [
        "no-cache",
        "no-store",
        "max-age=0",
        "max-age=0",
        "max-age=5",
        "max-age=600",
        "MAX-AGE=5",
        "min-fresh=5",
        "min-fresh=600",
        "max-stale",
        "max-stale=20",
        "max-age=5, max-stale",
        "only-if-cached",
        "max-age=x",
        "x=\"no-cache\"",
    ];
    maybe(rng, 4, lines, "cache-control", &directives);
    maybe(rng, 12, lines, "pragma", &["no-cache", "x"]);
    maybe(rng, 15, lines, "if-none-match", &["\"a\"", "W/\"b\"", "*", "a"]);
    maybe(rng, 15, lines, "if-modified-since", &["Tue, 14 Nov 2023 22:13:20 GMT", "x"]);
    maybe(rng, 30, lines, "range", &["bytes=0-1", "bytes=9-", "lines=1-2"]);
}

fn status(rng: &mut Rng) -> u16 {
    if !one_in(rng, 4) {
        return 200;
    }
    let others = [
        103, 203, 204, 206, 299, 300, 301, 302, 304, 307, 308, 404, 405, 410, 414, 451, 500, 501,
        503, 599,
    ];
    pick(rng, &others)
}

fn response(rng: &mut Rng, received: u64) -> Vec<Line> {
    let mut lines = Vec::new();
    for _ in 0..pick(rng, &[0, 1, 1, 1, 1, 1, 2]) {
        lines.push(("cache-control", cache_control(rng)));
    }
    match rng.u32(..10) {
        0 => {}
        1 => lines.push(("date", "x".to_owned())),
        2..4 => lines.push(("date", date(rng, received))),
        _ => lines.push(("date", at(received))),
    }
    for _ in 0..pick(rng, &[0, 0, 0, 0, 1, 1, 2]) {
        let expires = date(rng, received);
        lines.push(("expires", pick(rng, &[expires.as_str(), &expires, "0", "x"]).to_owned()));
    }
    maybe(rng, 5, &mut lines, "age", &["0", "5", "59", "600", "5, 600", "x", "-5", "99999999999"]);
    maybe(
        rng,
        3,
        &mut lines,
        "vary",
        &["accept", "X-A", "x-a", "x-a", "accept,x-a", "*", "x-a, *"],
    );
    maybe(rng, 10, &mut lines, "vary", &["accept", ""]);
    maybe(rng, 3, &mut lines, "etag", &["\"a\"", "W/\"b\""]);
    maybe(rng, 3, &mut lines, "last-modified", &["Tue, 14 Nov 2023 22:13:20 GMT", "x"]);
    maybe(rng, 15, &mut lines, "set-cookie", &["a=b"]);
    maybe(rng, 30, &mut lines, "connection", &["x-user", "close"]);
    lines.push(("x-user", "1".to_owned()));
    lines.push(("x-kept", "1".to_owned()));
    lines
}

fn cache_control(rng: &mut Rng) -> String {
    let common = ["max-age=10", "max-age=60", "max-age=600", "s-maxage=10", "s-maxage=600"];
    let others = [
        "public",
        "public",
        "must-revalidate",
        "must-revalidate",
        "proxy-revalidate",
        "immutable",
        "no-transform",
        "must-understand",
        "must-understand, no-store",
        "private",
        "no-store",
        "no-cache",
        "private=\"x-user\"",
        "no-cache=\"x-user, x-other\"",
        "No-Store",
        "max-age=0",
        "s-maxage=0",
        "MAX-AGE=60",
        "max-age=\"60\"",
        "max-age=abc",
        "max-age=-1",
        "max-age=6.5",
        "max-age",
        "max-age=99999999999999999999999999",
        "stale-while-revalidate=30",
        "stale-if-error=30",
        "x",
        "x=\"no-store, private\"",
        "x=\"no-store, private\"",
        "x=\"a\\\", no-cache\"",
        "x=\"max-age=600\"",
    ];
    let mut directives = Vec::new();
    if !one_in(rng, 4) {
        directives.push(pick(rng, &common));
    }
    for _ in 0..pick(rng, &[0, 0, 0, 1, 1, 2, 3]) {
        directives.push(pick(rng, &others));
    }
    rng.shuffle(&mut directives);
    directives.join(pick(rng, &[", ", ",", " ,\t"]))
}

/// A date up to ten minutes away.
fn date(rng: &mut Rng, from: u64) -> String {
    at(from + pick(rng, &[0, 10, 60, 600]) * 1_000 - pick(rng, &[0, 0, 10, 600]) * 1_000)
}

fn at(millis: u64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(millis))
}
