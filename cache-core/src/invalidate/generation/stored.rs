//! Generations as the store holds them. Pure.
//!
//! An id; after a soft invalidation, behind it the id of that and its time. Each is 16 hex digits,
//! so that a person can read them, and so that the second half can be written without the first.

use crate::clock::Millis;

/// What a scope currently has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation {
    /// What was filled under another one is invalid. Not zero.
    pub(crate) id: u64,
    /// The latest soft invalidation: what was filled before it is stale.
    pub(crate) soft: Option<Soft>,
}

/// A soft invalidation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Soft {
    /// Random, and not zero.
    pub(crate) id: u64,
    /// Since when what it is about is stale.
    pub(crate) at: Millis,
}

/// Where the second half begins.
pub(crate) const SOFT_AT: usize = DIGITS;
const DIGITS: usize = 16;

impl Generation {
    /// Reads what the store holds; anything else counts as absent.
    pub(crate) fn parse(stored: &[u8]) -> Option<Self> {
        let (id, soft) = stored.split_at_checked(DIGITS)?;
        let soft = if soft.is_empty() { None } else { Some(Soft::parse(soft)?) };
        Some(Self { id: number(id).filter(|id| *id != 0)?, soft })
    }

    /// The id of the soft invalidation; zero: there was none.
    pub(crate) fn soft_id(&self) -> u64 {
        self.soft.map_or(0, |soft| soft.id)
    }
}

impl Soft {
    pub(crate) fn new(at: Millis) -> Self {
        Self { id: fastrand::u64(1..), at }
    }

    fn parse(stored: &[u8]) -> Option<Self> {
        let (id, at) = stored.split_at_checked(DIGITS)?;
        Some(Self { id: number(id).filter(|id| *id != 0)?, at: number(at)? })
    }

    /// The second half.
    pub(crate) fn render(self) -> String {
        format!("{:016x}{:016x}", self.id, self.at)
    }
}

/// The first half.
pub(crate) fn render_id(id: u64) -> String {
    format!("{id:016x}")
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.len() != DIGITS || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_hex_digits_and_nothing_else() {
        let hard = Generation { id: 0xAB, soft: None };
        assert_eq!(Generation::parse(render_id(0xAB).as_bytes()), Some(hard));
        let soft = Soft { id: 0xCD, at: 1_700_000_000_000 };
        let both = render_id(0xAB) + &soft.render();
        assert_eq!(&both[SOFT_AT..], soft.render());
        assert_eq!(
            Generation::parse(both.as_bytes()),
            Some(Generation { id: 0xAB, soft: Some(soft) })
        );
        let unfinished = &both.as_bytes()[..40];
        let zero = render_id(0xAB) + &"0".repeat(32);
        for bad in [
            &b""[..],
            b"ab",
            b"0000000000000000",
            b"zzzzzzzzzzzzzzzz",
            b"+123456789abcdef",
            b"\xff000000000000000",
            unfinished,
            zero.as_bytes(),
            &[both.as_bytes(), b"0"].concat(),
        ] {
            assert_eq!(Generation::parse(bad), None, "{bad:?}");
        }
    }
}
