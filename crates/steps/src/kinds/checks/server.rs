//! Whether the API server has a supported version.

use semver::Version;

use super::{Findings, Subject, problem};
use bootstrapper_core::failure::Result;

/// Flux 2.9 rejects older ones (`flux check`: Kubernetes 1.33).
const OLDEST: Version = Version::new(1, 33, 0);

pub(super) fn check(subject: &Subject) -> Result<Findings> {
    let version = subject.cluster.server_version()?;
    let too_old = (version < OLDEST).then(|| {
        problem(format!("the API server is Kubernetes {version}, Flux needs {OLDEST} or newer"))
            .hint("upgrade the control plane first")
    });
    Ok([too_old].into_iter().collect())
}
