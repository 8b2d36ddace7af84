//! What a namespace's keys are made by: its version, and the shapes of patterns. Pure.

use super::Board;
use crate::invalidate::Template;

/// Made anew with every change, so that a key tells by what it was made.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// `{prefix}:{namespace}`
    stem: String,
    /// As the code says.
    code_version: u32,
    bumps: u32,
    /// `{prefix}:{namespace}:v{version}:`
    base: String,
    shapes: Vec<Known>,
}

#[derive(Debug, Clone)]
struct Known {
    template: Template,
    /// Declared here. Otherwise it was learnt of others.
    own: bool,
    /// The day on which somebody who declares it last said so.
    seen: u32,
}

/// So many shapes are declared at most, and so many are on a board.
pub(super) const MOST_SHAPES: usize = 256;

impl Facts {
    pub(crate) fn new(stem: String, code_version: u32) -> Self {
        let facts = Self { stem, code_version, bumps: 0, base: String::new(), shapes: Vec::new() };
        facts.bumped(0)
    }

    fn bumped(mut self, bumps: u32) -> Self {
        self.bumps = bumps;
        self.base = format!("{}:v{}:", self.stem, self.version());
        self
    }

    /// The version that keys have now.
    pub(crate) fn version(&self) -> u32 {
        self.code_version.saturating_add(self.bumps)
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) fn templates(&self) -> impl Iterator<Item = &Template> {
        self.shapes.iter().map(|shape| &shape.template)
    }

    pub(super) fn bumps(&self) -> u32 {
        self.bumps
    }

    /// Whether there is anything that others have to know.
    pub(super) fn say_something(&self) -> bool {
        self.bumps > 0 || !self.shapes.is_empty()
    }

    /// The shapes declared here, or all of them; with the day each was last declared on.
    pub(super) fn shapes(&self, all: bool) -> impl Iterator<Item = (&Template, bool, u32)> {
        let wanted = move |shape: &&Known| all || shape.own;
        self.shapes.iter().filter(wanted).map(|shape| (&shape.template, shape.own, shape.seen))
    }

    /// Whether a shape is among those declared here or learnt.
    pub(crate) fn know(&self, template: &Template) -> bool {
        self.shapes.iter().any(|known| known.template.same_shape(template))
    }

    /// With one shape more. `None`: too many.
    pub(super) fn declare(&self, template: &Template) -> Option<Declared> {
        let mut next = self.clone();
        if let Some(known) = next.shapes.iter_mut().find(|k| k.template.same_shape(template)) {
            if known.own {
                return Some(Declared::Before);
            }
            known.own = true;
            return Some(Declared::ByOthers(next));
        }
        if self.shapes(false).count() >= MOST_SHAPES {
            return None;
        }
        next.shapes.push(Known { template: template.clone(), own: true, seen: 0 });
        Some(Declared::New(next))
    }

    /// With what a board says; `None`: that is known already.
    pub(super) fn learn(&self, board: &Board) -> Option<Self> {
        let unknown: Vec<Known> = board
            .shapes
            .iter()
            .filter(|noted| !self.know(&noted.template))
            .map(|noted| Known { template: noted.template.clone(), own: false, seen: noted.seen })
            .collect();
        if unknown.is_empty() && board.bumps <= self.bumps {
            return None;
        }
        let mut next = self.clone().bumped(self.bumps.max(board.bumps));
        if next.shapes.len() + unknown.len() > 2 * MOST_SHAPES {
            // Others have given up more than they have added.
            next.shapes.retain(|known| known.own || board.has(&known.template));
        }
        next.shapes.extend(unknown);
        Some(next)
    }

    /// Without those that a board has no room for, which were to be on it.
    pub(super) fn without_refused(&self, wanted: &Self, board: &Board) -> Option<Self> {
        let refused = |known: &Known| {
            known.own && wanted.know(&known.template) && !board.has(&known.template)
        };
        let mut next = self.clone();
        next.shapes.retain(|known| !refused(known));
        (next.shapes.len() < self.shapes.len()).then_some(next)
    }

    /// With the version one higher; `None`: there is none higher.
    pub(super) fn bump(&self) -> Option<Self> {
        let bumps = self.bumps.checked_add(1)?;
        self.code_version.checked_add(bumps)?;
        Some(self.clone().bumped(bumps))
    }
}

/// What a declaration came to.
pub(super) enum Declared {
    /// It was declared here before.
    Before,
    /// It was known, and keys were made by it.
    ByOthers(Facts),
    New(Facts),
}
