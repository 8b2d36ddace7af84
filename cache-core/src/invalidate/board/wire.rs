//! A board as it is stored: what it says, and its bytes. Pure.
//!
//! An ordinary envelope that does not expire, bound to the key of the board, with a payload of
//! MessagePack. Whatever else is found counts as no board.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::facts::{Facts, MOST_SHAPES};
use crate::clock::Millis;
use crate::codec::{Decoded, Format, decode, encode, from_bytes, to_bytes};
use crate::entry::{Entry, EntryTimes};
use crate::invalidate::Template;
use crate::ttl::Ttl;

/// Of the payload.
const SCHEMA: u32 = 1;
/// The texts of all shapes have at most so many bytes.
const MOST_BYTES: usize = 64 * 1024;
const DAY: Millis = 24 * 60 * 60 * 1000;
/// A shape that nobody who declares it has confirmed for so many days is dropped.
const FORGOTTEN_AFTER: u32 = 60;
/// Who declares a shape confirms that when it is so many days ago.
const CONFIRMED_AFTER: u32 = 7;

/// What is known of a namespace by all who use it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Board {
    pub(super) shapes: Vec<Noted>,
    /// How often the version was bumped at run time.
    pub(super) bumps: u32,
    /// Something was added, and the generation of the namespace may not have been removed since.
    pub(super) pending: bool,
    /// When it was written, in unix milliseconds.
    pub(super) written: Millis,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Noted {
    pub(super) template: Template,
    /// The day on which somebody who declares it last said so.
    pub(super) seen: u32,
}

#[derive(Serialize, Deserialize)]
struct Payload {
    pending: bool,
    bumps: u32,
    shapes: Vec<(String, u32)>,
}

impl Board {
    pub(super) fn has(&self, template: &Template) -> bool {
        self.shapes.iter().any(|noted| noted.template.same_shape(template))
    }

    /// Whether it says all that has to be said of what is known here.
    pub(super) fn covers(&self, facts: &Facts) -> bool {
        self.bumps >= facts.bumps() && facts.shapes(false).all(|(own, ..)| self.has(own))
    }

    /// With what is known here, as of now; of a board that was lost, also with what was learnt of
    /// it. What there is no room for is left out.
    pub(super) fn updated(lost: bool, board: Self, facts: &Facts, now: Millis) -> Self {
        let today = day(now);
        let mut next = Self { bumps: board.bumps.max(facts.bumps()), written: now, ..board };
        for noted in &mut next.shapes {
            if facts.shapes(false).any(|(own, ..)| noted.template.same_shape(own)) {
                noted.seen = noted.seen.max(today);
            }
        }
        next.shapes.retain(|noted| noted.seen.saturating_add(FORGOTTEN_AFTER) > today);
        let mut bytes: usize = next.shapes.iter().map(|noted| noted.template.shape().len()).sum();
        for (template, own, seen) in facts.shapes(lost) {
            if next.has(template) {
                continue;
            }
            bytes += template.shape().len();
            if next.shapes.len() >= MOST_SHAPES || bytes > MOST_BYTES {
                break;
            }
            let seen = if own { today } else { seen };
            next.shapes.push(Noted { template: template.clone(), seen });
        }
        next
    }

    /// Whether it says more than another.
    pub(super) fn adds_to(&self, other: &Self) -> bool {
        self.bumps > other.bumps || self.shapes.iter().any(|noted| !other.has(&noted.template))
    }

    /// Whether it is time to write it again, so that neither it nor what is declared here is
    /// forgotten.
    pub(super) fn is_due(&self, facts: &Facts, now: Millis) -> bool {
        let unconfirmed = |noted: &&Noted| {
            noted.seen.saturating_add(CONFIRMED_AFTER) <= day(now)
                && facts.shapes(false).any(|(own, ..)| noted.template.same_shape(own))
        };
        self.written.saturating_add(DAY) <= now || self.shapes.iter().find(unconfirmed).is_some()
    }

    /// Its bytes, under this key, as this write.
    pub(super) fn encode(&self, key: &str, id: u64) -> Option<Bytes> {
        let shapes = self.shapes.iter().map(|noted| (noted.template.shape(), noted.seen)).collect();
        let payload = Payload { pending: self.pending, bumps: self.bumps, shapes };
        encode(&Entry {
            id,
            times: EntryTimes::new(self.written, Ttl::Never),
            schema: SCHEMA,
            format: Format::MessagePack,
            generations: SmallVec::new(),
            tags: Vec::new(),
            etag: None,
            identity: Bytes::copy_from_slice(key.as_bytes()),
            payload: to_bytes(Format::MessagePack, &payload).ok()?,
        })
    }

    /// What is stored under this key, if it is a board.
    pub(super) fn decode(key: &str, stored: &Bytes) -> Option<Self> {
        let Decoded::Value(entry) = decode(stored) else { return None };
        if entry.schema != SCHEMA || entry.identity != key.as_bytes() {
            return None;
        }
        let payload: Payload = from_bytes(entry.format, &entry.payload)?;
        if payload.shapes.len() > MOST_SHAPES {
            return None;
        }
        let noted = |(shape, seen): (String, u32)| {
            Some(Noted { template: Template::of_shape(&shape)?, seen })
        };
        let shapes = payload.shapes.into_iter().map(noted).collect::<Option<_>>()?;
        let Payload { pending, bumps, .. } = payload;
        Some(Self { shapes, bumps, pending, written: entry.times.created })
    }
}

fn day(now: Millis) -> u32 {
    u32::try_from(now / DAY).unwrap_or(u32::MAX)
}
