//! The addresses in `X-Forwarded-For` and `Forwarded`, the last one first. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::header::{FORWARDED, HeaderMap, HeaderValue, ValueIter};

use super::client::Field;

/// The addresses, from the right; `None` for one that can't be read. Lines are looked at only when
/// those behind them are used up: a client's own must not make unreadable what a proxy has added.
pub(super) struct Hops<'h> {
    field: Field,
    lines: ValueIter<'h, HeaderValue>,
    /// Of the line that is being read, what is left.
    line: Vec<Option<IpAddr>>,
}

impl<'h> Hops<'h> {
    pub(super) fn of(field: Field, headers: &'h HeaderMap) -> Self {
        let lines = match field {
            Field::XForwardedFor => headers.get_all("x-forwarded-for"),
            Field::Forwarded => headers.get_all(FORWARDED),
        };
        Self { field, lines: lines.iter(), line: Vec::new() }
    }
}

impl Iterator for Hops<'_> {
    type Item = Option<IpAddr>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.line.is_empty() {
            let line = self.lines.next_back()?.as_bytes();
            self.line = match self.field {
                Field::XForwardedFor => line.split(|byte| *byte == b',').map(address).collect(),
                Field::Forwarded => elements(line).unwrap_or_else(|| vec![None]),
            };
        }
        self.line.pop()
    }
}

/// `192.0.2.7`, `192.0.2.7:80`, `2001:db8::7`, `[2001:db8::7]`, `[2001:db8::7]:80`; a port may be a
/// name (RFC 7239 §6).
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim_matches([' ', '\t']);
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let port_is_fine = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return address.parse::<Ipv6Addr>().ok().filter(|_| port_is_fine).map(IpAddr::V6);
    }
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let (address, port) = text.split_once(':')?;
    address.parse::<Ipv4Addr>().ok().filter(|_| is_port(port)).map(IpAddr::V4)
}

fn is_port(text: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !text.is_empty() && text.bytes().all(fine)
}

/// The `for` of each element of a line (RFC 7239 §4); `None` if the line can't be read to its end,
/// since then nobody knows where its elements begin.
fn elements(line: &[u8]) -> Option<Vec<Option<IpAddr>>> {
    let (mut rest, mut found, mut own) = (line, Vec::new(), None);
    loop {
        rest = rest.trim_ascii_start();
        let name_ends = rest.iter().position(|byte| !is_token(*byte)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(name_ends);
        rest = after;
        if !name.is_empty() {
            let (value, after) = value(rest.strip_prefix(b"=")?)?;
            if name.eq_ignore_ascii_case(b"for") {
                // Twice is once too often.
                own = if own.is_none() { Some(address(&value)) } else { Some(None) };
            }
            rest = after;
        }
        rest = rest.trim_ascii_start();
        match rest.split_first() {
            Some((b';', after)) => rest = after,
            Some((b',', after)) => {
                found.push(own.take().flatten());
                rest = after;
            }
            Some(_) => return None,
            None => {
                found.push(own.flatten());
                return Some(found);
            }
        }
    }
}

/// A token or a quoted string, and what follows it.
fn value(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let ends = text.iter().position(|byte| !is_token(*byte)).unwrap_or(text.len());
        let (value, rest) = text.split_at(ends);
        return (!value.is_empty()).then(|| (value.to_vec(), rest));
    };
    let (mut value, mut bytes) = (Vec::new(), quoted.iter().copied().enumerate());
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some((value, quoted.get(at + 1..)?)),
            b'\\' => value.push(bytes.next()?.1),
            byte => value.push(byte),
        }
    }
    None
}

/// RFC 9110 §5.6.2. The colon and brackets of an address have to be quoted; many don't, and mean the
/// same.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:[]".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hops(lines: &[&str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED, line.parse().unwrap());
        }
        let text = |hop: Option<IpAddr>| hop.map_or("?".to_owned(), |hop| hop.to_string());
        Hops::of(Field::Forwarded, &headers).map(text).collect()
    }

    #[test]
    fn forwarded() {
        for (line, expected) in [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", &["192.0.2.60"][..]),
            ("FOR=192.0.2.43, for=198.51.100.17", &["198.51.100.17", "192.0.2.43"]),
            ("for=\"[2001:db8:cafe::17]:4711\"", &["2001:db8:cafe::17"]),
            ("for=\"[2001:db8:cafe::17]\" ; proto=https", &["2001:db8:cafe::17"]),
            ("for=[2001:db8:cafe::17]", &["2001:db8:cafe::17"]),
            ("for=\"192.0.2.43:_port\"", &["192.0.2.43"]),
            ("for=\"192.0.2.\\43\"", &["192.0.2.43"]),
            ("for=unknown, for=_hidden", &["?", "?"]),
            ("proto=http, for=192.0.2.1", &["192.0.2.1", "?"]),
            ("for=1.1.1.1;for=2.2.2.2", &["?"]),
            ("host=\"a,for=1.1.1.1\";for=192.0.2.1", &["192.0.2.1"]),
            ("for=\"192.0.2.1", &["?"]),
            ("for=192.0.2.1, for=\"1.1.1.1", &["?"]),
            ("for=192.0.2.1 junk", &["?"]),
            ("for", &["?"]),
            ("for=", &["?"]),
            ("", &["?"]),
            ("for=192.0.2.1,", &["?", "192.0.2.1"]),
        ] {
            assert_eq!(hops(&[line]), expected, "{line}");
        }
        assert_eq!(hops(&["for=\"1.1.1.1", "for=192.0.2.1"]), ["192.0.2.1", "?"]);
    }

    proptest! {
        #[test]
        fn no_line_panics(line in prop::collection::vec(any::<u8>(), 0..64)) {
            elements(&line);
            address(&line);
        }

        #[test]
        fn addresses_are_read_as_they_are_written(bits: u128, port: u16) {
            let (v6, v4) = (Ipv6Addr::from_bits(bits), Ipv4Addr::from(bits.to_le_bytes()[0..4].first_chunk::<4>().copied().unwrap()));
            prop_assert_eq!(address(v6.to_string().as_bytes()), Some(IpAddr::V6(v6)));
            prop_assert_eq!(address(format!("[{v6}]:{port}").as_bytes()), Some(IpAddr::V6(v6)));
            prop_assert_eq!(address(format!(" {v4}:{port}").as_bytes()), Some(IpAddr::V4(v4)));
        }
    }
}
