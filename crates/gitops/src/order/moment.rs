//! Moments of a bootstrap, and why one comes after another.

use bootstrapper_core::object::ObjectRef;

/// An event that happens once per cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    phase: Phase,
    /// Its object; the API version is ignored.
    pub of: ObjectRef,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Begins,
    Ready,
}

impl Moment {
    /// Flux starts with it: applies a Kustomization's objects, installs a release, applies any other object.
    pub fn begins(id: &ObjectRef) -> Self {
        Self { phase: Phase::Begins, of: without_version(id) }
    }

    /// It reports that it is ready.
    pub fn ready(id: &ObjectRef) -> Self {
        Self { phase: Phase::Ready, of: without_version(id) }
    }
}

/// References may use another API version than the object.
fn without_version(id: &ObjectRef) -> ObjectRef {
    ObjectRef { api_version: id.group().to_owned() + "/", ..id.clone() }
}

/// Why a moment comes after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    /// The same object, later.
    Itself,
    /// Its parent applies it.
    AppliedBy,
    /// Its `dependsOn`.
    DependsOn,
    /// It waits for its objects: `wait` or `healthChecks`.
    WaitsFor,
}

impl LinkKind {
    /// As text: `network depends on crds`.
    fn verb(self) -> &'static str {
        match self {
            Self::Itself => "",
            Self::AppliedBy => "is applied by",
            Self::DependsOn => "depends on",
            Self::WaitsFor => "waits for",
        }
    }
}

/// One step of a path from a moment to an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub from: Moment,
    pub kind: LinkKind,
    pub to: Moment,
}

/// A path as a sentence: `Kustomization app depends on Kustomization network, which waits for HelmRelease
/// cilium`. Empty for an empty path.
pub(super) fn describe(path: &[Link]) -> String {
    let steps = path.iter().filter(|link| link.kind != LinkKind::Itself);
    let mut described = String::new();
    for link in steps {
        if described.is_empty() {
            described = short(&link.from.of);
        } else {
            described.push_str(", which");
        }
        described = format!("{described} {} {}", link.kind.verb(), short(&link.to.of));
    }
    described
}

/// Without the namespace: `HelmRelease cilium`.
pub(super) fn short(id: &ObjectRef) -> String {
    format!("{} {}", id.kind, id.name)
}
