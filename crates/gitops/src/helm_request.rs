//! Requests to Helm that are equivalent to helm-controller's.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::fields::{self, HelmAction};
use super::post_renderers::{origin_labels, post_rendering};
use super::release::Release;
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::Complete;
use bootstrapper_tools::{ChartAccess, HelmRequest};

/// The handling of CRDs of a chart's `crds` folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrdPolicy {
    /// Create missing ones; keep existing ones.
    Create,
    /// Create or replace them.
    CreateReplace,
    /// Skip them.
    Skip,
}

impl Release {
    /// A request to Helm that is equivalent to helm-controller's.
    pub fn helm_request(&self, action: HelmAction) -> HelmRequest {
        HelmRequest {
            release: self.release_name.clone(),
            namespace: self.release_namespace.clone(),
            chart: self.chart.clone(),
            // Without it, the registry itself denies access.
            access: ChartAccess { refusal: self.refused.clone(), ..self.access.clone().unwrap_or_default() },
            values: self.values.clone(),
            integers: self.integers.clone(),
            post_rendering: post_rendering(&self.object),
            skip_crds: self.crds(action) == CrdPolicy::Skip,
            flags: fields::flags(&self.object, action),
            is_tracked: self.is_tracked,
        }
    }

    /// The same, to be installed. Fails if a value in it is unknown, or if the bootstrap cannot do the same as
    /// Flux.
    pub fn complete_request(&self, action: HelmAction) -> Result<Complete<HelmRequest>> {
        self.installable()?;
        Ok(Complete::of_own(self.helm_request(action)))
    }

    /// The policy for CRDs in the chart's `crds` folder. `Create` is helm-controller's default for both
    /// actions, despite the API documentation for upgrades; and it ignores `install.skipCRDs`
    /// (`internal/action/crds.go`).
    pub fn crds(&self, action: HelmAction) -> CrdPolicy {
        match self.object.data["spec"][action.field()]["crds"].as_str() {
            Some("Skip") => CrdPolicy::Skip,
            Some("CreateReplace") => CrdPolicy::CreateReplace,
            _ => CrdPolicy::Create,
        }
    }

    /// Helm's timeout for each operation: `timeout` of the HelmRelease, like helm-controller.
    pub fn helm_limit(&self) -> SignedDuration {
        let spec = &self.object.data["spec"];
        let told = ["install", "upgrade"].into_iter().map(|action| &spec[action]["timeout"]);
        let told = told.chain([&spec["timeout"]]).filter_map(|text| text.as_str()?.parse().ok());
        told.max().unwrap_or(SignedDuration::from_mins(5))
    }

    /// The labels with which helm-controller marks what it applies.
    pub fn origin_labels(&self) -> BTreeMap<String, String> {
        origin_labels(&self.object)
    }
}
