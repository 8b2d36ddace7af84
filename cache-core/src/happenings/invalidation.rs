//! An invalidation, put into words.

use std::time::Duration;

use super::event::{Event, EventScope, InvalidationOutcome, ScopeKind};
use crate::invalidate::scope::Kind;
use crate::invalidate::{Pattern, Tag, Template};
use crate::key::unescape;
use crate::state::{EntryKey, Inner, NamespaceState};
use crate::stats::micros;

/// So many are named in one event.
const NAMED: usize = 32;

/// What is to be told of an invalidation. Empty where nobody listened when it was made.
#[derive(Debug, Default)]
pub(crate) struct Told {
    scopes: Vec<EventScope>,
    more: usize,
}

impl Told {
    /// Adds a scope; of keys nothing, which are told when it ends.
    pub(crate) fn add(&mut self, scope: &Kind) {
        match scope {
            Kind::Everything => self.push(ScopeKind::Everything, None, None, String::new()),
            Kind::Namespace(name) => {
                self.push(ScopeKind::Namespace, Some(name.clone()), None, name.clone());
            }
            Kind::Workspace(rendered) => {
                let name = unescape(rendered);
                self.push(ScopeKind::Workspace, None, Some(name.clone()), name);
            }
            Kind::Tag(tag) => self.tag(tag),
            Kind::Pattern { .. } | Kind::Key { .. } => {}
        }
    }

    fn tag(&mut self, tag: &Tag) {
        let workspace = tag.family().workspace();
        self.push(ScopeKind::Tag, None, workspace, tag.as_str().to_owned());
    }

    /// Adds a pattern; `template`: what it is an instance of.
    pub(crate) fn pattern(
        &mut self,
        namespace: &NamespaceState,
        pattern: &Pattern,
        template: Option<&Template>,
    ) {
        let in_workspace =
            template.map_or(namespace.is_by_workspace(), |one| one.workspace_hole().is_some());
        let workspace = in_workspace.then(|| pattern.workspace()).flatten();
        let text = namespace.shown(pattern.as_str().as_bytes(), pattern.as_str()).into_owned();
        self.push(ScopeKind::Pattern, Some(namespace.name.clone()), workspace, text);
    }

    fn key(&mut self, key: &EntryKey) {
        let namespace = Some(key.namespace.name.clone());
        self.push(ScopeKind::Key, namespace, key.workspace_name(), key.shown().into_owned());
    }

    fn push(
        &mut self,
        kind: ScopeKind,
        namespace: Option<String>,
        workspace: Option<String>,
        text: String,
    ) {
        if self.scopes.len() < NAMED {
            self.scopes.push(EventScope { kind, namespace, workspace, text });
        } else {
            self.more += 1;
        }
    }
}

impl Inner {
    /// Tells of an invalidation that has ended.
    pub(crate) fn tell_invalidated<'k>(
        &self,
        told: &mut Told,
        keys: impl IntoIterator<Item = &'k EntryKey>,
        outcome: InvalidationOutcome,
        soft: bool,
        took: Duration,
    ) {
        self.happenings.tell(|at| {
            keys.into_iter().for_each(|key| told.key(key));
            let Told { scopes, more } = std::mem::take(told);
            let took_us = micros(took);
            Event::Invalidated { at, scopes, more, outcome, soft, removed: None, took_us }
        });
    }

    /// Tells of a sweep that was asked for as such, and has ended.
    pub(crate) fn tell_swept(
        &self,
        namespace: &NamespaceState,
        pattern: &Pattern,
        removed: u64,
        outcome: InvalidationOutcome,
        took: Duration,
    ) {
        self.happenings.tell(|at| {
            let mut told = Told::default();
            told.pattern(namespace, pattern, None);
            let Told { scopes, more } = told;
            let took_us = micros(took);
            let removed = Some(removed);
            Event::Invalidated { at, scopes, more, outcome, soft: false, removed, took_us }
        });
    }
}
