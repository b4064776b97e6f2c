//! Waits for a condition in the cluster.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Applies, Awaits, Kind};
use crate::Declared;
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::ObjectRef;
use bootstrapper_readiness::Probe;

/// What to wait for.
#[derive(Debug, Clone)]
pub enum WaitSpec {
    /// A probe.
    Probe(Probe),
    /// One object.
    Object {
        /// The object.
        id: ObjectRef,
        /// CEL that is true when it is ready.
        ready: Option<String>,
        /// CEL that is true when it can never become ready.
        failed: Option<String>,
    },
}

/// What to wait for: a probe, or one object.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::pipeline) struct WaitFile {
    /// The name of a probe.
    probe: Option<Probe>,
    /// One object, by the rule of its kind or by the expressions `ready` and `failed`.
    object: Option<ObjectRef>,
    /// CEL that is true when the object is ready: `has(object.status.loadBalancer.ingress)`.
    ready: Option<String>,
    /// CEL that is true when the object can never become ready.
    failed: Option<String>,
}

impl Kind for WaitSpec {
    type Written = WaitFile;

    fn read(written: Self::Written) -> Result<Self, String> {
        match (written.probe, written.object) {
            (Some(probe), None) if written.ready.is_none() && written.failed.is_none() => {
                Ok(Self::Probe(probe))
            }
            (Some(_), None) => {
                Err("`ready` and `failed` require `object`; a probe has its own rule".to_owned())
            }
            (None, Some(id)) => Ok(Self::Object { id, ready: written.ready, failed: written.failed }),
            _ => Err("wait requires either `probe` or `object`".to_owned()),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Probe(probe) => format!("wait-{probe}"),
            Self::Object { id, .. } => format!("wait-{}", id.name),
        }
    }

    fn applies(&self) -> Applies<'_> {
        Applies::Nothing
    }

    fn awaits(&self) -> Awaits<'_> {
        match self {
            Self::Probe(probe) => Awaits::Probe(*probe),
            Self::Object { id, .. } => Awaits::Object(id),
        }
    }

    fn check(&self, _: &Declared) -> Result<()> {
        Ok(())
    }
}
