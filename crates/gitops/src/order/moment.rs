//! Moments of a bootstrap, and why one comes after another.

use bootstrapper_core::object::ObjectRef;

/// Something that happens once in the life of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    phase: Phase,
    /// What it happens to; its API version is of no account.
    pub of: ObjectRef,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Begins,
    Ready,
}

impl Moment {
    /// Flux begins with it: applies what a Kustomization brings, installs a release, applies any
    /// other object.
    pub fn begins(id: &ObjectRef) -> Self {
        Self { phase: Phase::Begins, of: without_version(id) }
    }

    /// It is ready, by its own word.
    pub fn ready(id: &ObjectRef) -> Self {
        Self { phase: Phase::Ready, of: without_version(id) }
    }
}

/// References may name another version of the API than the object does.
fn without_version(id: &ObjectRef) -> ObjectRef {
    ObjectRef { api_version: id.group().to_owned() + "/", ..id.clone() }
}

/// Why a moment comes after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// It is the same thing, later.
    Itself,
    /// It is not there before that brings it.
    BroughtBy,
    /// It says so: `dependsOn`.
    DependsOn,
    /// It waits for what it brings: `wait` or `healthChecks`.
    WaitsFor,
}

impl Because {
    /// As a sentence says it: `network depends on crds`.
    fn verb(self) -> &'static str {
        match self {
            Self::Itself => "",
            Self::BroughtBy => "is brought by",
            Self::DependsOn => "depends on",
            Self::WaitsFor => "waits for",
        }
    }
}

/// One step of a way from a moment to what comes before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub from: Moment,
    pub because: Because,
    pub to: Moment,
}

/// A way as a sentence: `Kustomization app depends on Kustomization network, which waits for
/// HelmRelease cilium`. Empty if it never leaves the thing it begins with.
pub(super) fn told(way: &[Link]) -> String {
    let steps = way.iter().filter(|link| link.because != Because::Itself);
    let mut told = String::new();
    for link in steps {
        if told.is_empty() {
            told = short(&link.from.of);
        } else {
            told.push_str(", which");
        }
        told = format!("{told} {} {}", link.because.verb(), short(&link.to.of));
    }
    told
}

/// Without the namespace: `HelmRelease cilium`.
pub(super) fn short(id: &ObjectRef) -> String {
    format!("{} {}", id.kind, id.name)
}
