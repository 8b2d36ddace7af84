//! What RFC 9111 allows a shared cache, read from its text in the order of its text: as plainly as
//! it can be, for valid and for invalid heads, and knowing nothing of how the cache does it.
//!
//! A verdict is `Ok`, or the section that forbids.

use std::time::UNIX_EPOCH;

use super::heads::Line;

pub(super) type Verdict = Result<(), &'static str>;

/// Everything that a verdict may name.
pub(super) const SECTIONS: [&str; 21] = [
    "§3 method",
    "§3 final",
    "§3 206 and 304",
    "§5.2.2.3",
    "§5.2.2.5",
    "§5.2.1.5",
    "§5.2.2.7",
    "§3.5",
    "§3 cacheable",
    "set-cookie",
    "§4 URI",
    "§4 method",
    "§4.1",
    "§5.2.2.4",
    "§4.4",
    "authorization",
    "§4.2.4 prohibited",
    "§4.2.4",
    "§5.2.1.4",
    "§5.2.1.1",
    "§5.2.1.3",
];

/// A request and its response; times in unix milliseconds.
pub(super) struct Exchange<'a> {
    pub(super) method: &'a str,
    pub(super) request: &'a [Line],
    pub(super) status: u16,
    pub(super) response: &'a [Line],
    pub(super) sent: u64,
    pub(super) received: u64,
}

/// A later request.
pub(super) struct Later<'a> {
    pub(super) method: &'a str,
    pub(super) request: &'a [Line],
    pub(super) at: u64,
    pub(super) same_uri: bool,
    /// Whether an unsafe request has succeeded in between.
    pub(super) written: bool,
}

pub(super) fn may_store(exchange: &Exchange<'_>) -> Verdict {
    let response = directives(exchange.response);
    let understood = is_understood(exchange.status);
    let explicit = response.has("max-age")
        || response.has("s-maxage")
        || field(exchange.response, "expires").is_some();
    // What POST needs besides is in no case here: a Content-Location.
    forbid(!matches!(exchange.method, "GET" | "HEAD"), "§3 method")?;
    forbid(!(200..600).contains(&exchange.status), "§3 final")?;
    forbid(exchange.status == 206 || exchange.status == 304, "§3 206 and 304")?;
    forbid(response.has("must-understand") && !understood, "§5.2.2.3")?;
    let overridden = response.has("must-understand") && understood;
    forbid(response.has("no-store") && !overridden, "§5.2.2.5")?;
    forbid(directives(exchange.request).has("no-store"), "§5.2.1.5")?;
    forbid(response.for_all("private"), "§5.2.2.7")?;
    let authorized = field(exchange.request, "authorization").is_some();
    forbid(authorized && !shares(&response), "§3.5")?;
    let heuristic =
        [200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501].contains(&exchange.status);
    forbid(!(response.has("public") || explicit || heuristic), "§3 cacheable")?;
    // What this cache promises beyond the RFC.
    forbid(field(exchange.response, "set-cookie").is_some(), "set-cookie")
}

pub(super) fn may_reuse(exchange: &Exchange<'_>, later: &Later<'_>) -> Verdict {
    may_store(exchange)?;
    let response = directives(exchange.response);
    let wishes = directives(later.request);
    forbid(!later.same_uri, "§4 URI")?;
    let method = exchange.method == later.method || later.method == "HEAD";
    forbid(!method || exchange.method != "GET", "§4 method")?;
    forbid(!vary_matches(exchange, later.request), "§4.1")?;
    forbid(response.for_all("no-cache"), "§5.2.2.4")?;
    forbid(later.written, "§4.4")?;
    // What this cache promises beyond the RFC.
    let authorized = field(later.request, "authorization").is_some();
    forbid(authorized && !shares(&response), "authorization")?;

    let age = current_age(exchange, later.at);
    let lifetime = lifetime(exchange, &response);
    if lifetime <= age {
        let prohibited = ["must-revalidate", "proxy-revalidate", "s-maxage"];
        forbid(prohibited.iter().any(|name| response.has(name)), "§4.2.4 prohibited")?;
        let stale_for = age - lifetime;
        let by_client = match wishes.value("max-stale") {
            None => false,
            Some("") => true,
            Some(limit) => seconds(limit).is_some_and(|limit| stale_for <= limit),
        };
        let by_origin = response.value("stale-while-revalidate").and_then(seconds);
        let by_origin = by_origin.is_some_and(|limit| stale_for <= limit);
        forbid(!by_client && !by_origin, "§4.2.4")?;
    }
    let pragma = !later.request.iter().any(|(name, _)| *name == "cache-control")
        && field(later.request, "pragma").is_some_and(|pragma| pragma == "no-cache");
    forbid(wishes.has("no-cache") || pragma, "§5.2.1.4")?;
    if let Some(limit) = wishes.value("max-age") {
        let limit = seconds(limit).unwrap_or(0);
        forbid(age > limit || (lifetime <= age && !wishes.has("max-stale")), "§5.2.1.1")?;
    }
    let remaining = lifetime.saturating_sub(age);
    let soon = wishes.value("min-fresh").and_then(seconds).is_some_and(|least| remaining < least);
    forbid(soon, "§5.2.1.3")
}

/// §4.2.3, in milliseconds.
pub(super) fn current_age(exchange: &Exchange<'_>, now: u64) -> u64 {
    let date_value = field(exchange.response, "date").and_then(|date| instant(&date));
    let apparent_age = exchange.received.saturating_sub(date_value.unwrap_or(exchange.received));
    // §5.1: the first member, ignored if it is invalid.
    let age = field(exchange.response, "age").unwrap_or_default();
    let age_value = age.split(',').next().and_then(|age| seconds(age.trim())).unwrap_or(0);
    let response_delay = exchange.received - exchange.sent;
    let corrected_initial_age = apparent_age.max(age_value + response_delay);
    corrected_initial_age + (now - exchange.received)
}

/// §4.2.1, in milliseconds: of several values the first, and 0 where it is invalid.
fn lifetime(exchange: &Exchange<'_>, response: &Directives) -> u64 {
    if let Some(value) = response.value("s-maxage").or(response.value("max-age")) {
        return seconds(value).unwrap_or(0);
    }
    let Some(expires) = lines(exchange.response, "expires").next() else { return 0 };
    let date_value = field(exchange.response, "date").and_then(|date| instant(&date));
    instant(expires).unwrap_or(0).saturating_sub(date_value.unwrap_or(exchange.received))
}

/// The status codes that RFC 9110 §15 defines.
fn is_understood(status: u16) -> bool {
    matches!(status, 200..=206 | 300..=305 | 307 | 308 | 400..=417 | 421 | 422 | 426 | 500..=505)
}

/// §3.5.
fn shares(response: &Directives) -> bool {
    ["must-revalidate", "public", "s-maxage"].iter().any(|name| response.has(name))
}

fn vary_matches(exchange: &Exchange<'_>, later: &[Line]) -> bool {
    let names = field(exchange.response, "vary").unwrap_or_default().to_lowercase();
    names.split(',').map(str::trim).filter(|name| !name.is_empty()).all(|name| {
        // White space where it is allowed and the number of lines make no difference.
        let value = |lines| {
            field(lines, name).map(|value| value.split(',').map(str::trim).collect::<String>())
        };
        name != "*" && value(exchange.request) == value(later)
    })
}

fn forbid(condition: bool, section: &'static str) -> Verdict {
    if condition { Err(section) } else { Ok(()) }
}

/// `Cache-Control`: names in lower case, arguments without quotes, an empty one if there is none.
struct Directives(Vec<(String, String)>);

impl Directives {
    fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// Whether it is there without a list of fields.
    fn for_all(&self, name: &str) -> bool {
        self.0.iter().any(|(found, value)| found == name && value.is_empty())
    }
}

fn directives(head: &[Line]) -> Directives {
    let text = field(head, "cache-control").unwrap_or_default();
    let mut found = Vec::new();
    let (mut name, mut value) = (String::new(), String::new());
    let (mut in_value, mut quoted, mut escaped) = (false, false, false);
    for c in text.chars().chain([',']) {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' if quoted => escaped = true,
            '"' if in_value => quoted = !quoted,
            ',' if !quoted => {
                let name = std::mem::take(&mut name).trim().to_lowercase();
                found.push((name, std::mem::take(&mut value).trim().to_owned()));
                in_value = false;
            }
            '=' if !in_value => in_value = true,
            _ if in_value => value.push(c),
            _ => name.push(c),
        }
    }
    Directives(found)
}

fn lines<'a>(head: &'a [Line], name: &'a str) -> impl Iterator<Item = &'a str> {
    head.iter().filter(move |(found, _)| *found == name).map(|(_, value)| value.as_str())
}

/// All lines of a field, as one.
fn field(head: &[Line], name: &str) -> Option<String> {
    let lines: Vec<_> = lines(head, name).collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

/// §1.2.2, in milliseconds.
fn seconds(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX).min(1 << 31) * 1_000)
}

/// In unix milliseconds.
fn instant(date: &str) -> Option<u64> {
    let since = httpdate::parse_http_date(date).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(since.as_secs() * 1_000)
}
