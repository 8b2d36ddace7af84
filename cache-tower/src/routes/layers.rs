//! What the layers of one cache differ in, where that is part of keys: namespace, key rules,
//! workspaces. Whoever invalidates has to reach the entries of all of them.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use cache_core::{Template, Values};
use http::{Extensions, HeaderMap};

use crate::config::Shared;
use crate::request::partition::Resolved;

/// The layers of one cache, as far as their keys differ.
#[derive(Debug, Default)]
pub(crate) struct Layers(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Each once; the cache's own is the first. Gone with the last layer that has it.
    shapes: Vec<Weak<Shared>>,
    /// The functions with names, by kind and name.
    functions: HashMap<(&'static str, String), TypeId>,
    namespaces: Vec<Values>,
    templates: Vec<Template>,
}

/// Where what an unsafe request changes may be stored: the settings of layers, each with the
/// partition that the request belongs to there.
pub(crate) type Reach = Vec<(Arc<Shared>, Resolved<'static>)>;

impl Layers {
    /// One for all layers whose keys are the same.
    ///
    /// # Panics
    /// If a name stands for two functions.
    pub(crate) fn intern(&self, shape: Shared) -> Arc<Shared> {
        let mut known = self.lock();
        for (name, of) in shape.options.key.named() {
            known.claim("key_by", name, of);
        }
        if let Some((name, Some(of))) = shape.workspace.kind() {
            known.claim("workspace", &name, of);
        }
        let values = &shape.values;
        if known.namespaces.iter().all(|other| other.name() != values.name()) {
            for template in &known.templates {
                declare(values, template);
            }
            known.namespaces.push(values.clone());
        }
        known.shapes.retain(|shape| shape.strong_count() > 0);
        let alike = known.shapes.iter().filter_map(Weak::upgrade).find(|other| other.is_as(&shape));
        alike.unwrap_or_else(|| {
            let shape = Arc::new(shape);
            known.shapes.push(Arc::downgrade(&shape));
            shape
        })
    }

    /// Where the entries may be that an unsafe request is about. A layer whose workspace it does not
    /// name has none for it.
    pub(crate) fn reach(&self, headers: &HeaderMap, extensions: &Extensions) -> Reach {
        // The functions of an application are not called under the lock.
        let shapes: Vec<_> = self.lock().shapes.iter().filter_map(Weak::upgrade).collect();
        let resolve = |shared: Arc<Shared>| {
            let partition = shared.workspace.resolve(headers, extensions)?.into_owned();
            Some((shared, partition))
        };
        shapes.into_iter().filter_map(resolve).collect()
    }

    /// Declares a pattern in the namespaces of all layers, also of those to come.
    pub(crate) fn declare(&self, template: &Template) {
        let mut known = self.lock();
        if !known.templates.contains(template) {
            known.templates.push(template.clone());
        }
        for values in &known.namespaces {
            declare(values, template);
        }
    }

    /// The namespaces that hold responses.
    pub(crate) fn namespaces(&self) -> Vec<Values> {
        self.lock().namespaces.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn claim(&mut self, kind: &'static str, name: &str, of: TypeId) {
        let known = *self.functions.entry((kind, name.to_owned())).or_insert(of);
        assert!(
            known == of,
            "{kind}: {name:?} is the name of two functions; what one says would be taken for what the other says"
        );
    }
}

fn declare(values: &Values, template: &Template) {
    if !values.declare(template).unwrap_or(false) {
        tracing::warn!(
            ?template,
            namespace = values.name(),
            "too many patterns: this one is invalidated by sweeps"
        );
    }
}

impl Shared {
    /// Whether keys are made in the same way.
    fn is_as(&self, other: &Self) -> bool {
        self.values.name() == other.values.name()
            && self.options.key == other.options.key
            && self.workspace.is_same_as(&other.workspace)
    }
}
