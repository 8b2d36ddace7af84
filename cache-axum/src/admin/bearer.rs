//! Bearer tokens (RFC 6750).

use std::fmt;
use std::future::ready;

use cache_core::store::BoxFuture;
use cache_core::{Error, ErrorKind};
use http::header::AUTHORIZATION;
use http::request::Parts;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::authorize::Authorizer;
use super::principal::{Denied, Principal};

/// Secrets that are sent as `Authorization: Bearer ..`, each somebody's.
///
/// They are compared in constant time, and only their digests are kept. Take long random ones:
/// nothing keeps others from guessing but their length (`openssl rand -base64 32`).
///
/// ```
/// use cache_axum::admin::{BearerToken, Principal};
///
/// let tokens = BearerToken::new("a-long-random-text")
///     .and("another-long-random-text", Principal::workspace("ws1"));
/// ```
#[derive(Clone)]
pub struct BearerToken {
    known: Vec<Known>,
    /// Why these can't be used.
    fault: Option<&'static str>,
}

#[derive(Clone)]
struct Known {
    digest: [u8; 32],
    principal: Principal,
}

impl BearerToken {
    /// The token of an [operator](Principal::operator). An empty one is refused when the router is
    /// built.
    pub fn new(token: impl AsRef<str>) -> Self {
        Self::of(token, Principal::operator())
    }

    /// The token of somebody.
    pub fn of(token: impl AsRef<str>, principal: Principal) -> Self {
        Self { known: Vec::new(), fault: None }.and(token, principal)
    }

    /// One more.
    #[must_use]
    pub fn and(mut self, token: impl AsRef<str>, principal: Principal) -> Self {
        let token = token.as_ref();
        let digest = digest(token.as_bytes());
        if token.is_empty() {
            self.fault = Some("a bearer token is empty");
        } else if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            // Nobody could send it.
            self.fault = Some("a bearer token holds a character that no header may have");
        } else if self.known.iter().any(|known| known.digest == digest) {
            self.fault = Some("a bearer token is there twice");
        }
        self.known.push(Known { digest, principal });
        self
    }

    fn whose(&self, token: &[u8]) -> Option<Principal> {
        let digest = digest(token);
        // All of them, so that which one it is takes no other time.
        let mut place = u32::MAX;
        for (n, known) in (0..).zip(&self.known) {
            let same: Choice = known.digest.ct_eq(&digest);
            place = u32::conditional_select(&place, &n, same);
        }
        let known = self.known.get(usize::try_from(place).ok()?)?;
        Some(known.principal.clone())
    }
}

impl Authorizer for BearerToken {
    fn authorize<'r>(&'r self, request: &'r Parts) -> BoxFuture<'r, Result<Principal, Denied>> {
        let mut given = request.headers.get_all(AUTHORIZATION).iter();
        let found = match (given.next(), given.next()) {
            (None, _) => Err(Denied::NoCredentials),
            (Some(field), None) => {
                let token = bearer(field.as_bytes());
                token.and_then(|token| self.whose(token)).ok_or(Denied::WrongCredentials)
            }
            // Who knows which of them others have looked at.
            (Some(_), Some(_)) => Err(Denied::WrongCredentials),
        };
        Box::pin(ready(found))
    }

    fn check(&self) -> Result<(), Error> {
        self.fault.map_or(Ok(()), |fault| Err(Error::new(ErrorKind::Config, fault)))
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerToken").field("tokens", &self.known.len()).finish_non_exhaustive()
    }
}

/// Of equal length, so that comparing tells nothing of the token's.
fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// The token in a header field; the name of the scheme in any case (RFC 9110 §11.1).
fn bearer(field: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = field.split_at_checked("Bearer ".len())?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"Bearer ") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(tokens: &BearerToken, fields: &[&str]) -> Result<Principal, Denied> {
        let mut request = http::Request::new(());
        for field in fields {
            request.headers_mut().append(AUTHORIZATION, field.parse().unwrap());
        }
        let (parts, ()) = request.into_parts();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(tokens.authorize(&parts))
    }

    #[test]
    fn each_token_is_its_owners_and_nobody_elses() {
        let tokens = BearerToken::new("one").and("two", Principal::workspace("ws1"));
        assert_eq!(ask(&tokens, &["Bearer one"]), Ok(Principal::operator()));
        assert_eq!(ask(&tokens, &["bearer  two "]), Ok(Principal::workspace("ws1")));
        assert_eq!(ask(&tokens, &[]), Err(Denied::NoCredentials));
        for wrong in ["Bearer", "Bearer ", "Bearer on", "Bearer onee", "Basic one", "one", ""] {
            assert_eq!(ask(&tokens, &[wrong]), Err(Denied::WrongCredentials), "{wrong}");
        }
        assert_eq!(ask(&tokens, &["Bearer one", "Bearer one"]), Err(Denied::WrongCredentials));
        assert_eq!(ask(&tokens, &["Bearer one, Bearer two"]), Err(Denied::WrongCredentials));
    }

    #[test]
    fn tokens_that_can_not_be_used_are_refused_and_none_is_shown() {
        for bad in ["", " ", "a b", "a\n", "ä"] {
            assert!(BearerToken::new(bad).check().is_err(), "{bad:?}");
        }
        let twice = BearerToken::new("same").and("same", Principal::workspace("ws1"));
        assert!(twice.check().is_err());
        let fine = BearerToken::new("secret");
        assert!(fine.check().is_ok() && !format!("{fine:?}").contains("secret"));
    }
}
