//! Generations as the store holds them. Pure.
//!
//! An id; behind it, of each of the latest soft invalidations its id and its time, the latest first.
//! Each is 16 hex digits, so that a person can read them, and so that one more can be put in without
//! the id being known.

use crate::clock::Millis;

/// What a scope currently has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Generation {
    /// What was filled under another one is invalid. Not zero.
    pub(crate) id: u64,
    pub(crate) softs: Softs,
}

/// The latest soft invalidations, the latest first: what was filled before it is stale.
pub(crate) type Softs = Vec<Soft>;

/// A soft invalidation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Soft {
    /// Random, and not zero.
    pub(crate) id: u64,
    /// Since when what it is about is stale.
    pub(crate) at: Millis,
}

/// So many are remembered. What has missed more of them, and was read by nobody meanwhile, counts as
/// stale since the oldest of these.
pub(super) const MOST: usize = 8;
/// Where the soft invalidations begin.
pub(crate) const SOFT_AT: usize = DIGITS;
/// So many bytes of earlier ones stay behind a new one.
pub(crate) const SOFT_KEPT: usize = (MOST - 1) * 2 * DIGITS;
const DIGITS: usize = 16;

impl Generation {
    /// Reads what the store holds; anything else counts as absent.
    pub(crate) fn parse(stored: &[u8]) -> Option<Self> {
        let (id, softs) = stored.split_at_checked(DIGITS)?;
        if softs.len() > MOST * 2 * DIGITS {
            return None;
        }
        let softs = softs.chunks(2 * DIGITS).map(Soft::parse).collect::<Option<_>>()?;
        Some(Self { id: number(id).filter(|id| *id != 0)?, softs })
    }

    /// The id, and that of the latest soft invalidation; zero: there was none.
    pub(crate) fn ids(&self) -> (u64, u64) {
        (self.id, latest(&self.softs))
    }
}

/// The id of the latest; zero: there was none.
pub(super) fn latest(softs: &[Soft]) -> u64 {
    softs.first().map_or(0, |soft| soft.id)
}

/// Since when what was filled when this was the latest is stale: since the first that came after.
pub(super) fn stale_since(softs: &[Soft], then: u64) -> Millis {
    let later = softs.iter().position(|soft| soft.id == then).unwrap_or(softs.len());
    // Clocks differ, so the first need not have the earliest time.
    softs.iter().take(later.max(1)).map(|soft| soft.at).min().unwrap_or_default()
}

impl Soft {
    pub(crate) fn new(at: Millis) -> Self {
        Self { id: fastrand::u64(1..), at }
    }

    fn parse(stored: &[u8]) -> Option<Self> {
        let (id, at) = stored.split_at_checked(DIGITS)?;
        Some(Self { id: number(id).filter(|id| *id != 0)?, at: number(at)? })
    }

    /// As it is put in behind the id.
    pub(crate) fn render(self) -> String {
        format!("{:016x}{:016x}", self.id, self.at)
    }
}

/// The id.
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
    fn hex_digits_and_nothing_else() {
        let hard = Generation { id: 0xAB, softs: Vec::new() };
        assert_eq!(Generation::parse(render_id(0xAB).as_bytes()), Some(hard));
        let soft = Soft { id: 0xCD, at: 1_700_000_000_000 };
        let both = render_id(0xAB) + &soft.render();
        assert_eq!(&both[SOFT_AT..], soft.render());
        for count in 1..=MOST {
            let stored = render_id(0xAB) + &soft.render().repeat(count);
            let softs = vec![soft; count];
            assert_eq!(Generation::parse(stored.as_bytes()), Some(Generation { id: 0xAB, softs }));
        }
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
            (render_id(0xAB) + &soft.render().repeat(MOST + 1)).as_bytes(),
        ] {
            assert_eq!(Generation::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn stale_since_the_first_that_came_after() {
        let softs = [(4, 400), (3, 900), (2, 200), (1, 100)].map(|(id, at)| Soft { id, at });
        for (then, since) in [(4, 400), (3, 400), (2, 400), (1, 200), (0, 100), (77, 100)] {
            assert_eq!(stale_since(&softs, then), since, "{then}");
        }
        assert_eq!(stale_since(&[], 1), 0);
    }
}
