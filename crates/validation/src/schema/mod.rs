//! Schemas of kinds, and their violations.
//!
//! A kind's schema is that of a CRD that the cluster declares or one of its charts provides, otherwise that of
//! Flux's CRDs, otherwise that of the built-in kinds of Kubernetes.

mod builtin;
mod check;
mod crd;
mod defaults;
mod expressions;
mod flux;
mod format;
mod upstream;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

pub(super) use check::{Breach, BreachKind};

use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_gitops::{Declared, Rendering, UNKNOWN};

/// The placeholder for a Secret value that the bootstrap seeds, and that is unknown here.
pub const SEEDED: &str = "known-to-the-bootstrap-only";

/// Whether a text contains an unknown value, which is not validated.
pub(crate) fn is_unknown(text: &str) -> bool {
    text.contains(SEEDED) || text.contains(UNKNOWN)
}

/// Whether a kind is namespaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum Scope {
    Namespaced,
    Cluster,
}

/// What is known about a kind.
#[derive(Debug, Clone)]
pub(super) enum Known<'a> {
    /// Its schema.
    Schema(Schema<'a>),
    /// The kind is known, but not this version; lists the served ones.
    OtherVersions(Vec<String>),
    /// The kind is unknown.
    Nothing,
}

/// The schema of a kind.
#[derive(Debug, Clone)]
pub(super) struct Schema<'a> {
    /// The schema of the whole object.
    root: &'a Value,
    /// The target of `$ref`; null if there is none.
    definitions: &'a Value,
    scope: Scope,
    /// The source, for messages: `Kubernetes 1.36`, or the CRD's name.
    pub(super) source: String,
}

/// Whether the Flux operator installs Flux, as far as the repository shows.
fn is_of_operator(declared: &Declared) -> bool {
    let is_instance = |object: &Object| {
        let id = ObjectRef::of(object);
        id.group() == "fluxcd.controlplane.io" && id.kind == "FluxInstance"
    };
    let is_chart = |name: &str| matches!(name, "flux-operator" | "flux-instance");
    declared.flux.by_operator
        || declared.releases.iter().any(|release| is_chart(release.chart.name()))
        || declared.objects().any(is_instance)
}

/// The schemas of one cluster.
pub(super) struct Schemas<'a> {
    crds: BTreeMap<(&'a str, &'a str), crd::Crd<'a>>,
    /// The versions of Kubernetes that it may have, newest first.
    kubernetes: &'static [builtin::Version],
}

impl<'a> Schemas<'a> {
    /// The schemas of a cluster. `kubernetes` is its declared version, if any.
    pub(super) fn of(declared: &'a Declared, kubernetes: Option<&str>) -> Self {
        let of_charts = declared.renderings.values().flat_map(|rendering| match rendering {
            Rendering::Takes { crds } => crds.as_slice(),
            Rendering::Fails { .. } => &[],
        });
        // The last one takes precedence: the repository's own declaration.
        let of_flux: Vec<crd::Crd<'a>> = flux::crds(is_of_operator(declared)).collect();
        let declared = of_charts.chain(declared.objects()).filter_map(crd::Crd::read);
        let all = of_flux.into_iter().chain(declared);
        let crds = all.map(|crd| ((crd.group, crd.kind), crd)).collect();
        Self { crds, kubernetes: builtin::versions(kubernetes) }
    }

    /// The schema of a kind; of a built-in one, in the newest version that the cluster may have.
    pub(super) fn known(&self, id: &ObjectRef) -> Known<'_> {
        match (self.crd(id), self.kubernetes.first()) {
            (Some(crd), _) => crd.known(id.version()),
            (None, Some(newest)) => newest.known(&id.api_version, &id.kind),
            (None, None) => Known::Nothing,
        }
    }

    /// The schemas of a built-in kind in the older versions of Kubernetes that the cluster may have, from
    /// newest to oldest, each with the name of the next newer version.
    pub(super) fn known_before(&self, id: &ObjectRef) -> impl Iterator<Item = (&str, Known<'_>)> {
        let versions = if self.crd(id).is_some() { &[] } else { self.kubernetes };
        let pairs = versions.windows(2).filter_map(|pair| Some((pair.first()?, pair.get(1)?)));
        pairs.map(|(next, version)| (next.name.as_str(), version.known(&id.api_version, &id.kind)))
    }

    /// Whether a kind is built in, but served only if the API server enables it.
    pub(super) fn is_off_by_default(&self, id: &ObjectRef) -> bool {
        self.crd(id).is_none() && builtin::is_off_by_default(id.version())
    }

    fn crd<'b>(&'b self, id: &'b ObjectRef) -> Option<&'b crd::Crd<'a>> {
        self.crds.get(&(id.group(), id.kind.as_str()))
    }

    /// Fields of `metadata` that do not exist.
    pub(super) fn unknown_metadata(&self, fields: &[String]) -> Vec<Breach> {
        self.kubernetes
            .first()
            .map_or_else(Vec::new, |version| check::unknown_metadata(fields, version.metadata()))
    }

    /// Whether the kind is namespaced, if the kind is known.
    pub(super) fn scope(&self, id: &ObjectRef) -> Option<Scope> {
        match self.known(id) {
            Known::Schema(schema) => Some(schema.scope),
            _ => None,
        }
    }
}

impl Schema<'_> {
    /// The violations of an object. Its status is not checked.
    pub(super) fn breaches(&self, object: &Object) -> Vec<Breach> {
        let Ok(mut value) = serde_json::to_value(object) else { return Vec::new() };
        value.as_object_mut().map(|fields| fields.remove("status"));
        check::check(&value, self.root, self.definitions)
    }
}
