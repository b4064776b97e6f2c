//! Replacements of charts that are unavailable: minimal charts, generated from data.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::chart::{Files, Published, stand_in};
use super::crds;
use crate::programs::Assets;
use bootstrapper_core::failure::Result;
use bootstrapper_core::yaml;

const STAND_INS: &str = include_str!("stand_ins.yaml");

/// A replacement chart with the name of a real one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StandIn {
    chart: String,
    version: String,
    from: String,
    crds: Option<RealCrds>,
    workloads: Value,
    #[serde(default)]
    objects: Value,
}

/// Real CRDs, from a project's module.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RealCrds {
    module: String,
    kinds: Vec<String>,
}

/// All replacements.
pub(super) fn all() -> Result<Vec<StandIn>> {
    yaml::from_str(STAND_INS, Path::new("stand_ins.yaml"))
}

impl StandIn {
    pub(super) fn published(&self) -> Published<'_> {
        Published { from: &self.from, name: &self.chart, version: &self.version }
    }

    pub(super) fn into_name(self) -> String {
        self.chart
    }

    /// The chart: one template for all, with its data as values.
    pub(super) fn files(&self, assets: &Assets) -> Result<Files> {
        let mut files = stand_in("stand-in");
        let values = json!({"sandbox": {"workloads": self.workloads, "objects": self.objects}});
        files.insert("values.yaml".into(), values.to_string().into_bytes());
        if let Some(real) = &self.crds {
            let crds = crds::of_kinds(&assets.module(&real.module), &real.kinds)?;
            files.extend(crds.into_iter().map(|(path, crd)| (Path::new("crds").join(path), crd)));
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_says_what_it_runs() {
        for one in all().unwrap() {
            let workloads = one.workloads.as_array().unwrap();
            assert!(workloads.iter().all(|workload| workload["image"].is_string()), "{one:?}");
        }
    }
}
