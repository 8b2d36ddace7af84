//! Who a client is, behind proxies. Pure.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use cache_core::{Error, ErrorKind, Key};
use http::HeaderMap;

use super::forwarded::Hops;

/// Which proxies in front of the service are believed when they say whom they speak for.
///
/// Read from the right, as each proxy adds the address that it was asked from: beginning with the
/// peer of the connection, and going on for as long as the address is one of these. The first that is
/// not is the client. What clients write into the field themselves stands left of that, and counts for
/// nothing. Where what a trusted proxy says can't be read, the peer itself is the client.
///
/// ```
/// use cache_tower::TrustedProxies;
/// use http::HeaderMap;
///
/// let proxies = TrustedProxies::new(["10.0.0.0/8", "fd00::/8"])?;
/// let mut headers = HeaderMap::new();
/// headers.insert("x-forwarded-for", "1.1.1.1, 203.0.113.7, 10.0.0.2".parse().unwrap());
/// let client = proxies.client("10.0.0.1".parse().unwrap(), &headers);
/// assert_eq!(client.to_string(), "203.0.113.7");
/// # Ok::<(), cache_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    networks: Arc<[Network]>,
    field: Field,
}

/// Where proxies say it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Field {
    #[default]
    XForwardedFor,
    Forwarded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u32,
}

impl TrustedProxies {
    /// No proxy is believed: the client is the peer of the connection.
    pub fn none() -> Self {
        Self::default()
    }

    /// Those with these addresses, or in these networks (`10.0.0.0/8`). They say it in
    /// `X-Forwarded-For`.
    ///
    /// # Errors
    /// If one of them is neither; the error names it.
    pub fn new<S: AsRef<str>>(networks: impl IntoIterator<Item = S>) -> Result<Self, Error> {
        let parse = |network: S| {
            let text = network.as_ref();
            Network::parse(text.trim()).ok_or_else(|| {
                let fault = format!("{text:?} is no address, and no network such as 10.0.0.0/8");
                Error::new(ErrorKind::Config, fault)
            })
        };
        let networks = networks.into_iter().map(parse).collect::<Result<_, _>>()?;
        Ok(Self { networks, field: Field::default() })
    }

    /// They say it in `Forwarded` (RFC 7239) instead. One or the other: a proxy that adds to one of
    /// the fields passes on what clients have written into the other.
    #[must_use]
    pub fn forwarded(mut self) -> Self {
        self.field = Field::Forwarded;
        self
    }

    /// The address of the client that a request with these headers is from, when it came in on a
    /// connection from `peer`.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        let mut client = peer;
        let mut hops = Hops::of(self.field, headers);
        while self.trusts(client) {
            match hops.next() {
                Some(Some(hop)) => client = hop.to_canonical(),
                Some(None) => return peer,
                None => break,
            }
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) if bits.bytes().all(|digit| digit.is_ascii_digit()) => {
                (address, Some(bits.parse::<u32>().ok()?))
            }
            Some(_) => return None,
            None => (text, None),
        };
        let written: IpAddr = address.parse().ok()?;
        let all = width(written);
        let bits = bits.unwrap_or(all);
        if bits > all {
            return None;
        }
        // Addresses are compared as what they stand for.
        match (written, written.to_canonical()) {
            (IpAddr::V6(_), address @ IpAddr::V4(_)) => {
                Some(Self { address, bits: bits.checked_sub(96)? })
            }
            (_, address) => Some(Self { address, bits }),
        }
    }

    fn contains(&self, address: IpAddr) -> bool {
        let is_same = |a: u128, b: u128| (a ^ b).checked_shr(width(address) - self.bits);
        let differ = match (self.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => is_same(a.to_bits().into(), b.to_bits().into()),
            (IpAddr::V6(a), IpAddr::V6(b)) => is_same(a.to_bits(), b.to_bits()),
            _ => return false,
        };
        // Shifted by all bits, nothing is left that could differ.
        differ.unwrap_or(0) == 0
    }
}

fn width(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// Those who are counted together: an address; of IPv6 the network of 64 bits, all of which one
/// client can have.
pub(super) fn key(address: IpAddr) -> Key {
    match address {
        IpAddr::V4(address) => Key::from_segments([address.to_string()]),
        IpAddr::V6(address) => {
            let network = Ipv6Addr::from_bits(address.to_bits() >> 64 << 64);
            Key::from_segments([format!("{network}/64")])
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn client(proxies: &TrustedProxies, peer: &str, lines: &[(&'static str, &[u8])]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    fn trusted() -> TrustedProxies {
        TrustedProxies::new(["10.0.0.0/8", "192.0.2.1", "fd00::/8"]).unwrap()
    }

    #[test]
    fn read_from_the_right_up_to_the_first_that_is_not_trusted() {
        let at = |peer: &str, lines: &[&[u8]]| {
            let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
            client(&trusted(), peer, &lines)
        };
        for (peer, lines, expected) in [
            ("10.0.0.1", &[&b"203.0.113.7"[..]][..], "203.0.113.7"),
            ("10.0.0.1", &[b"1.1.1.1, 203.0.113.7"], "203.0.113.7"),
            ("10.0.0.1", &[b"203.0.113.7, 192.0.2.1"], "203.0.113.7"),
            ("10.0.0.1", &[b"1.1.1.1", b"203.0.113.7,10.9.9.9"], "203.0.113.7"),
            ("10.0.0.1", &[b"10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &[b"203.0.113.7:4711"], "203.0.113.7"),
            ("10.0.0.1", &[b"[2001:db8::7]:4711"], "2001:db8::7"),
            ("10.0.0.1", &[b"2001:db8::7"], "2001:db8::7"),
            ("10.0.0.1", &[b"::ffff:203.0.113.7"], "203.0.113.7"),
            ("::ffff:10.0.0.1", &[b"203.0.113.7"], "203.0.113.7"),
            ("fd12::1", &[b"203.0.113.7"], "203.0.113.7"),
            ("10.0.0.1", &[], "10.0.0.1"),
            // Not through a proxy of ours: whatever it says.
            ("203.0.113.9", &[b"203.0.113.7"], "203.0.113.9"),
            ("192.0.2.2", &[b"203.0.113.7"], "192.0.2.2"),
            // What can't be read, and has to be.
            ("10.0.0.1", &[b""], "10.0.0.1"),
            ("10.0.0.1", &[b"unknown"], "10.0.0.1"),
            ("10.0.0.1", &[b"203.0.113.7, "], "10.0.0.1"),
            ("10.0.0.1", &[b"203.0.113.7, 300.1.1.1"], "10.0.0.1"),
            ("10.0.0.1", &[b"203.0.113.7\xff"], "10.0.0.1"),
            ("10.0.0.1", &[b"junk, 10.0.0.2"], "10.0.0.1"),
            // What can't be read, and need not be.
            ("10.0.0.1", &[b"junk\xff, 203.0.113.7"], "203.0.113.7"),
            ("10.0.0.1", &[b"\xff", b"203.0.113.7"], "203.0.113.7"),
        ] {
            assert_eq!(at(peer, lines), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn one_field_is_read_and_not_the_other() {
        let both: [(&str, &[u8]); 2] =
            [("x-forwarded-for", b"203.0.113.7"), ("forwarded", b"for=203.0.113.8")];
        assert_eq!(client(&trusted(), "10.0.0.1", &both), "203.0.113.7");
        assert_eq!(client(&trusted().forwarded(), "10.0.0.1", &both), "203.0.113.8");
        assert_eq!(client(&TrustedProxies::none(), "10.0.0.1", &both), "10.0.0.1");
    }

    #[test]
    fn networks() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10/8",
            "x",
            "::/129",
            "10.0.0.0/8/8",
            "::ffff:10.0.0.0/95",
        ] {
            let error = TrustedProxies::new([text]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(text), "{error}");
        }
        let contains = |network: &str, address: &str| {
            Network::parse(network).unwrap().contains(address.parse().unwrap())
        };
        for (network, inside, outside) in [
            ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
            ("10.1.2.3/31", "10.1.2.2", "10.1.2.4"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::/0", "ffff::", "1.2.3.4"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
            ("::ffff:10.0.0.0/104", "10.255.0.1", "11.0.0.1"),
        ] {
            assert!(contains(network, inside), "{network} {inside}");
            assert!(!contains(network, outside), "{network} {outside}");
        }
    }

    #[test]
    fn who_is_counted_together() {
        let same = |a: &str, b: &str| key(a.parse().unwrap()) == key(b.parse().unwrap());
        assert!(!same("192.0.2.1", "192.0.2.2"));
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
    }
}
