//! One form for all requests, before anything looks at them.
//!
//! HTTP can say the same in several ways: the host in the target, in a field,
//! or in both; fields that `Connection` takes back. A cache that saw one host
//! where the upstream sees another would give wrong answers, so what follows
//! gets a path as the target, the host in `Host`, and end-to-end fields only.

use http::header::{HOST, MAX_FORWARDS};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};

use crate::failure::Failure;
use crate::headers::{has_unknown_coding, join_cookies, strip_hop_by_hop};

/// Brings a request into that form, or says why it can't be served.
pub(crate) fn admit<B>(request: &mut Request<B>) -> Result<(), Failure> {
    if request.method() == Method::CONNECT {
        return Err(Failure::Tunnel);
    }
    if has_unknown_coding(request.headers()) {
        return Err(Failure::CodedUpload);
    }
    settle_host(request)?;
    count_down(request)?;
    strip_hop_by_hop(request.headers_mut());
    join_cookies(request.headers_mut());
    Ok(())
}

/// RFC 9110 §7.6.2: how often TRACE and OPTIONS may be forwarded. For others the field means
/// nothing, and one that is no number means nothing for these.
fn count_down<B>(request: &mut Request<B>) -> Result<(), Failure> {
    if !matches!(*request.method(), Method::TRACE | Method::OPTIONS) {
        return Ok(());
    }
    let left = request.headers().get(MAX_FORWARDS);
    let left = left.and_then(|left| left.to_str().ok()?.parse::<u32>().ok());
    match left {
        None => Ok(()),
        Some(0) => Err(Failure::LastRecipient),
        Some(left) => {
            request.headers_mut().insert(MAX_FORWARDS, HeaderValue::from(left - 1));
            Ok(())
        }
    }
}

/// Moves the host from the target to `Host`, where it counts more than what
/// was there (RFC 9112 §3.2.2, RFC 9113 §8.3.1), and checks what there is.
fn settle_host<B>(request: &mut Request<B>) -> Result<(), Failure> {
    if let Some(authority) = request.uri().authority() {
        // A host and nothing else is for CONNECT (RFC 9112 §3.2.3), and user information in a
        // target is an error (RFC 9110 §4.2.4).
        if request.uri().scheme().is_none() || authority.as_str().contains('@') {
            return Err(Failure::BadTarget);
        }
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| Failure::BadTarget)?;
        request.headers_mut().insert(HOST, host);
    }
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    check_host(request.headers(), request.version())
}

/// RFC 9112 §3.2: one valid `Host`, no more and (since HTTP/1.1) no less.
fn check_host(headers: &HeaderMap, version: Version) -> Result<(), Failure> {
    let mut hosts = headers.get_all(HOST).iter();
    let valid = match (hosts.next(), hosts.next()) {
        (None, _) => version <= Version::HTTP_10,
        // Empty is valid: a target may have no host (RFC 9110 §7.2).
        (Some(host), None) => {
            host.is_empty()
                || Authority::try_from(host.as_bytes())
                    .is_ok_and(|authority| !authority.as_str().contains('@'))
        }
        (Some(_), Some(_)) => false,
    };
    if valid { Ok(()) } else { Err(Failure::BadHost) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Target and hosts after `admit`.
    fn admitted(
        method: Method,
        version: Version,
        target: &str,
        hosts: &[&str],
    ) -> Result<(String, Vec<HeaderValue>), Failure> {
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.version_mut() = version;
        *request.uri_mut() = target.parse().expect("valid target");
        for host in hosts {
            request.headers_mut().append(HOST, HeaderValue::from_str(host).expect("valid value"));
        }
        admit(&mut request)?;
        let hosts = request.headers().get_all(HOST).iter().cloned().collect();
        Ok((request.uri().to_string(), hosts))
    }

    #[test]
    fn the_host_of_the_target_wins() {
        let get = |version, target, hosts| admitted(Method::GET, version, target, hosts);
        let a = |target: &str| Ok((target.to_owned(), vec![HeaderValue::from_static("a:1")]));
        assert_eq!(get(Version::HTTP_11, "/x?y", &["a:1"]), a("/x?y"));
        assert_eq!(get(Version::HTTP_11, "http://a:1/x?y", &["b", "c"]), a("/x?y"));
        assert_eq!(get(Version::HTTP_11, "http://a:1", &["b"]), a("/"));
        assert_eq!(get(Version::HTTP_2, "http://a:1/x", &[]), a("/x"));
        assert_eq!(admitted(Method::OPTIONS, Version::HTTP_11, "*", &["a:1"]), a("*"));
    }

    #[test]
    fn one_valid_host() {
        let get = |version, hosts| admitted(Method::GET, version, "/", hosts).map(|_| ());
        assert_eq!(get(Version::HTTP_10, &[]), Ok(()));
        assert_eq!(get(Version::HTTP_11, &[""]), Ok(()));
        assert_eq!(get(Version::HTTP_11, &["[::1]:80"]), Ok(()));
        for hosts in [&[][..], &["a", "a"], &["a b"], &["u@a"], &["a/b"], &["a, b"]] {
            assert_eq!(get(Version::HTTP_11, hosts), Err(Failure::BadHost), "{hosts:?}");
        }
    }

    #[test]
    fn no_tunnels_no_credentials() {
        let refused = |method, target| admitted(method, Version::HTTP_11, target, &["a"]).err();
        assert_eq!(refused(Method::CONNECT, "a:443"), Some(Failure::Tunnel));
        assert_eq!(refused(Method::GET, "http://u:p@a/"), Some(Failure::BadTarget));
    }

    /// TRACE and OPTIONS went on for ever.
    #[test]
    fn forwards_are_counted_down_for_trace_and_options() {
        for (method, value, expected) in [
            (Method::OPTIONS, "0", Err(Failure::LastRecipient)),
            (Method::TRACE, "0", Err(Failure::LastRecipient)),
            (Method::TRACE, "10", Ok("9")),
            (Method::OPTIONS, "x", Ok("x")),
            (Method::GET, "0", Ok("0")),
        ] {
            let mut request = Request::new(());
            *request.method_mut() = method;
            let host = HeaderValue::from_static("a");
            request.headers_mut().insert(HOST, host);
            request.headers_mut().insert(MAX_FORWARDS, HeaderValue::from_static(value));
            let admitted = admit(&mut request);
            assert_eq!(admitted, expected.map(drop), "{value}");
            if let Ok(left) = expected {
                assert_eq!(request.headers()[MAX_FORWARDS], left);
            }
        }
    }

    /// A target without a slash was taken for the host, and beat the one in `Host`.
    #[test]
    fn a_host_is_no_target() {
        for target in ["b", "b:80", "stats"] {
            let refused = admitted(Method::GET, Version::HTTP_11, target, &["a"]).err();
            assert_eq!(refused, Some(Failure::BadTarget), "{target}");
        }
    }
}
