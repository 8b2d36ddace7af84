//! Which responses without explicit freshness get a lifetime of ours, and which one.
//!
//! ```text
//! let ttl = Assigned { ttl: Some(60_000), ..Assigned::default() };
//! assert_eq!(ttl.of(StatusCode::OK), Some(60_000));
//! assert_eq!(ttl.of(StatusCode::NOT_FOUND), None);   // unless `negative` is set
//! ```

use http::StatusCode;

use super::Millis;

/// The lifetimes of ours, milliseconds from reception, by status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assigned {
    /// For those of `statuses`.
    pub(crate) ttl: Option<Millis>,
    pub(crate) statuses: Box<[StatusCode]>,
    /// For those of `negative_statuses`, unless they have the other one.
    pub(crate) negative_ttl: Option<Millis>,
    pub(crate) negative_statuses: Box<[StatusCode]>,
}

/// The heuristically cacheable status codes (RFC 9110 §15.1) that aren't errors.
const STATUSES: [StatusCode; 6] = [
    StatusCode::OK,
    StatusCode::NON_AUTHORITATIVE_INFORMATION,
    StatusCode::NO_CONTENT,
    StatusCode::MULTIPLE_CHOICES,
    StatusCode::MOVED_PERMANENTLY,
    StatusCode::PERMANENT_REDIRECT,
];

/// Those that say that there is nothing.
const NEGATIVE_STATUSES: [StatusCode; 2] = [StatusCode::NOT_FOUND, StatusCode::GONE];

impl Default for Assigned {
    fn default() -> Self {
        Self {
            ttl: None,
            statuses: STATUSES.into(),
            negative_ttl: None,
            negative_statuses: NEGATIVE_STATUSES.into(),
        }
    }
}

impl Assigned {
    /// The lifetime of a response with this status.
    pub(crate) fn of(&self, status: StatusCode) -> Option<Millis> {
        if is_risky_error(status) {
            return None;
        }
        let ttl = self.ttl.filter(|_| self.statuses.contains(&status));
        ttl.or_else(|| self.negative_ttl.filter(|_| self.negative_statuses.contains(&status)))
    }
}

/// Errors that a client can bring about for others by what it sends (RFC 9110 §15.5), and those of
/// a server in trouble (§15.6): they are stored only if the origin says itself for how long.
pub(crate) fn is_risky_error(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 401 | 403 | 405 | 413 | 414 | 431 | 500..=599)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RISKY: [u16; 7] = [400, 401, 403, 405, 413, 414, 431];

    fn taken(assigned: &Assigned, ttl: Millis) -> Vec<u16> {
        let status = |code: &u16| StatusCode::from_u16(*code).unwrap();
        (100..1000).filter(|code| assigned.of(status(code)) == Some(ttl)).collect()
    }

    #[test]
    fn by_default_for_no_error() {
        let none = Assigned::default();
        assert_eq!(
            taken(&Assigned { ttl: Some(7), ..none.clone() }, 7),
            [200, 203, 204, 300, 301, 308]
        );
        assert_eq!(taken(&Assigned { negative_ttl: Some(7), ..none.clone() }, 7), [404, 410]);
        assert_eq!(none.of(StatusCode::OK), None);
    }

    #[test]
    fn for_the_statuses_that_are_named() {
        let chosen = Assigned {
            ttl: Some(7),
            statuses: [StatusCode::OK, StatusCode::NOT_FOUND].into(),
            negative_ttl: Some(3),
            negative_statuses: [StatusCode::NOT_FOUND, StatusCode::FOUND].into(),
        };
        assert_eq!(taken(&chosen, 7), [200, 404]);
        assert_eq!(taken(&chosen, 3), [302]);
    }

    #[test]
    fn never_for_errors_that_clients_bring_about() {
        let all: Box<[_]> = (100..1000).map(|code| StatusCode::from_u16(code).unwrap()).collect();
        let any = Assigned {
            ttl: Some(7),
            statuses: all.clone(),
            negative_ttl: Some(3),
            negative_statuses: all,
        };
        let taken = taken(&any, 7);
        for code in 100..1000 {
            let risky = RISKY.contains(&code) || (500..600).contains(&code);
            assert_eq!(!taken.contains(&code), risky, "{code}");
        }
    }
}
