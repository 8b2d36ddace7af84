//! **Pure**: HTTP/1.1 heads and how long the body after them is (RFC 9112 §6).

use std::io::{Error, ErrorKind, Result};

use bytes::Bytes;

/// Header fields in order, names as sent; bytes beyond ASCII are read as Latin-1.
pub type Fields = Vec<(String, String)>;

/// The status and the fields of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: Fields,
}

impl Head {
    /// The first value of a field, its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        values(&self.headers, name).next()
    }
}

/// A whole response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: Fields,
    /// The body, chunks joined.
    pub body: Bytes,
    /// The fields after a chunked body.
    pub trailers: Fields,
}

impl Response {
    /// The first value of a field, its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        values(&self.headers, name).next()
    }

    /// Every value of a field.
    pub fn header_all(&self, name: &str) -> Vec<&str> {
        values(&self.headers, name).collect()
    }

    /// The body as text (lossy).
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// `Cache-Status`, its lines joined with commas; empty without one.
    pub fn cache_status(&self) -> String {
        self.header_all("cache-status").join(", ")
    }
}

/// What follows a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// The length of the head at the start of `bytes`, its blank line included.
pub(crate) fn head_length(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

/// The length of the request at the start of `bytes`, if all of it is there.
pub(crate) fn request_length(bytes: &[u8]) -> Option<usize> {
    let head = head_length(bytes)?;
    let headers = fields(latin1(&bytes[..head]).split("\r\n").skip(1)).ok()?;
    let body = values(&headers, "content-length").next().and_then(|value| value.parse().ok());
    let length = head + body.unwrap_or(0);
    (bytes.len() >= length).then_some(length)
}

/// Reads a response head, as [`head_length`] cut it out.
pub(crate) fn parse_head(bytes: &[u8]) -> Result<Head> {
    let text = latin1(bytes);
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = first
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.get(2..5)?.parse().ok())
        .ok_or_else(|| invalid("status line", first))?;
    Ok(Head { status, headers: fields(lines)? })
}

/// Reads field lines up to the blank one.
pub(crate) fn fields<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Fields> {
    lines
        .take_while(|line| !line.is_empty())
        .map(|line| match line.split_once(':') {
            Some((name, value)) => Ok((name.to_owned(), value.trim().to_owned())),
            None => Err(invalid("field line", line)),
        })
        .collect()
}

/// How the body of a response to `method` is delimited. RFC 9112 §6.3.
pub(crate) fn framing(method: &str, head: &Head) -> Result<Framing> {
    if method == "HEAD" || matches!(head.status, 100..=199 | 204 | 304) {
        return Ok(Framing::Length(0));
    }
    let mut codings = values(&head.headers, "transfer-encoding").peekable();
    if codings.peek().is_some() {
        let last = codings.last().and_then(|value| value.rsplit(',').next()).unwrap_or_default();
        let chunked = last.trim().eq_ignore_ascii_case("chunked");
        return Ok(if chunked { Framing::Chunked } else { Framing::UntilClose });
    }
    let mut lengths = values(&head.headers, "content-length");
    let Some(first) = lengths.next() else { return Ok(Framing::UntilClose) };
    let length = first.parse().map_err(|_| invalid("Content-Length", first))?;
    match lengths.find(|other| *other != first) {
        Some(other) => Err(invalid("second Content-Length", other)),
        None => Ok(Framing::Length(length)),
    }
}

/// The size in the line before a chunk, extensions left out. RFC 9112 §7.1.
pub(crate) fn chunk_size(line: &[u8]) -> Result<u64> {
    let text = latin1(line);
    let digits = text.split(';').next().unwrap_or_default().trim();
    u64::from_str_radix(digits, 16).map_err(|_| invalid("chunk size", &text))
}

pub(crate) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

pub(crate) fn invalid(what: &str, text: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("invalid {what}: {text:?}"))
}

fn values<'a>(fields: &'a Fields, name: &str) -> impl Iterator<Item = &'a str> {
    fields
        .iter()
        .filter(move |(other, _)| other.eq_ignore_ascii_case(name))
        .map(|(_, v)| v.as_str())
}
