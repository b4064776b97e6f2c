//! Schemas of kinds, and what of an object breaks them.
//!
//! A kind's schema is that of the CRD which the cluster itself declares, if it does, or which one of
//! its charts brings; else that of the built-in kinds of Kubernetes; else our own of Flux's kinds.

mod builtin;
mod check;
mod crd;
mod defaults;
mod expressions;
mod flux;
mod format;

use std::collections::BTreeMap;

use serde_json::Value;

pub(super) use check::{Breach, BreachKind};

use crate::gitops::{Declared, Rendering, UNKNOWN};
use crate::object::{Object, ObjectRef};

/// Stands for a value of a Secret that the bootstrap seeds: it will be known then, and is not here.
pub const SEEDED: &str = "known-to-the-bootstrap-only";

/// Whether a text holds a value that is not known here: then nothing is said about it.
fn is_unknown(text: &str) -> bool {
    text.contains(SEEDED) || text.contains(UNKNOWN)
}

/// Whether a kind lies in namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Namespaced,
    Cluster,
}

/// What is known of a kind.
#[derive(Debug, Clone)]
pub(super) enum Known<'a> {
    /// This schema.
    Schema {
        /// The schema of the whole object.
        schema: &'a Value,
        /// What `$ref` refers to; null if nothing.
        definitions: &'a Value,
        scope: Scope,
        /// Who says so, for people: `Kubernetes 1.34`, or the CRD's name.
        source: String,
    },
    /// The kind is known, and this version of it is not served; those that are.
    OtherVersions(Vec<String>),
    /// Nothing.
    Nothing,
}

/// The schemas that hold for one cluster.
pub(super) struct Schemas<'a> {
    crds: BTreeMap<(&'a str, &'a str), crd::Crd<'a>>,
}

impl<'a> Schemas<'a> {
    /// Those of a cluster.
    pub(super) fn of(declared: &'a Declared) -> Self {
        let of_charts = declared.renderings.values().flat_map(|rendering| match rendering {
            Rendering::Takes { crds } => crds.as_slice(),
            Rendering::Refuses { .. } | Rendering::Unfetchable { .. } => &[],
        });
        // Of two the last one counts: what the repository itself declares.
        let all = of_charts.chain(declared.objects());
        let crds = all.filter_map(crd::Crd::read).map(|crd| ((crd.group, crd.kind), crd));
        Self { crds: crds.collect() }
    }

    /// What is known of a kind.
    pub(super) fn known(&self, id: &ObjectRef) -> Known<'_> {
        match self.crds.get(&(id.group(), id.kind.as_str())) {
            Some(crd) => crd.known(id.version()),
            None => match builtin::known(&id.api_version, &id.kind) {
                Known::Nothing => flux::known(id),
                known => known,
            },
        }
    }

    /// Whether the kind lies in namespaces, if the kind is known.
    pub(super) fn scope(&self, id: &ObjectRef) -> Option<Scope> {
        match self.known(id) {
            Known::Schema { scope, .. } => Some(scope),
            _ => None,
        }
    }
}

/// What of an object breaks its schema. Its status is not ours to judge.
pub(super) fn breaches(object: &Object, schema: &Value, definitions: &Value) -> Vec<Breach> {
    let Ok(mut value) = serde_json::to_value(object) else { return Vec::new() };
    value.as_object_mut().map(|fields| fields.remove("status"));
    check::check(&value, schema, definitions)
}
