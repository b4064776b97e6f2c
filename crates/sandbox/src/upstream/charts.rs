//! Every chart that a bootstrap pulls: real ones from their projects' Go modules, and replacements.

use std::path::{Path, PathBuf};

use super::chart::{Files, Published, add_templates, named, of_folder, stand_in};
use super::crds;
use super::pages::Pages;
use super::stand_ins::{self, StandIn};
use super::{registry, repository};
use crate::programs::Assets;
use bootstrapper_core::failure::Result;

/// A real chart from a module.
struct Real {
    published: Published<'static>,
    module: &'static str,
    folder: &'static str,
    /// Sibling charts that it depends on.
    includes: &'static [&'static str],
    /// Files to omit: webhooks and aggregated APIs, because their pods are simulated.
    without: &'static [&'static str],
}

const REAL: [Real; 6] = [
    Real {
        published: Published { from: "oci://quay.io/cilium/charts", name: "cilium", version: "1.20.2" },
        module: "cilium",
        folder: "install/kubernetes/cilium",
        includes: &[],
        without: &[],
    },
    Real {
        published: Published {
            from: "oci://quay.io/jetstack/charts",
            name: "cert-manager",
            version: "v1.21.2",
        },
        module: "cert-manager",
        folder: "deploy/charts/cert-manager",
        includes: &[],
        without: &["templates/webhook-mutating-webhook.yaml", "templates/webhook-validating-webhook.yaml"],
    },
    Real {
        published: Published { from: "oci://ghcr.io/rook", name: "rook-ceph", version: "v1.20.6" },
        module: "rook",
        folder: "deploy/charts/rook-ceph",
        includes: &["deploy/charts/library"],
        without: &[],
    },
    Real {
        published: Published { from: "oci://ghcr.io/rook", name: "rook-ceph-cluster", version: "v1.20.6" },
        module: "rook",
        folder: "deploy/charts/rook-ceph-cluster",
        includes: &["deploy/charts/library"],
        without: &[],
    },
    Real {
        published: Published {
            from: "https://kubernetes-sigs.github.io/metrics-server",
            name: "metrics-server",
            version: "3.13.1",
        },
        module: "metrics-server",
        folder: "charts/metrics-server",
        includes: &[],
        without: &["templates/apiservice.yaml"],
    },
    Real {
        published: Published {
            from: "https://kubernetes-sigs.github.io/external-dns",
            name: "external-dns",
            version: "1.21.1",
        },
        module: "external-dns",
        folder: "charts/external-dns",
        includes: &[],
        without: &[],
    },
];

/// Our charts with more than simulated pods.
const OURS: [Published<'static>; 3] = [
    Published { from: "oci://ghcr.io/coredns/charts", name: "coredns", version: "1.47.0" },
    Published {
        from: "oci://ghcr.io/controlplaneio-fluxcd/charts",
        name: "flux-operator",
        version: "0.58.1",
    },
    Published {
        from: "oci://ghcr.io/controlplaneio-fluxcd/charts",
        name: "flux-instance",
        version: "0.58.1",
    },
];

/// The modules of 2.x are unavailable: the real chart of 1.3 is served, with the same values.
const EXTERNAL_SECRETS: Published<'static> =
    Published { from: "oci://ghcr.io/external-secrets/charts", name: "external-secrets", version: "2.9.0" };

/// The kinds of its CRDs that a repository uses.
const SECRET_KINDS: [&str; 3] = ["ClusterSecretStore", "SecretStore", "ExternalSecret"];

/// Publishes all charts.
pub(super) fn publish_all(pages: &mut Pages, assets: &Assets) -> Result<()> {
    for real in &REAL {
        publish(pages, &real.published, real.files(assets)?)?;
    }
    publish(pages, &EXTERNAL_SECRETS, external_secrets(assets)?)?;
    for published in &OURS {
        publish(pages, published, ours(published.name, assets)?)?;
    }
    for one in stand_ins::all()? {
        publish(pages, &one.published(), one.files(assets)?)?;
    }
    Ok(())
}

fn ours(name: &str, assets: &Assets) -> Result<Files> {
    let mut files = stand_in(name);
    if name == "flux-operator" {
        add_templates(&mut files, of_folder(&assets.flux_operator.join("config/crd/bases"))?);
    }
    Ok(files)
}

fn external_secrets(assets: &Assets) -> Result<Files> {
    let module = assets.module("external-secrets");
    let mut files = of_folder(&module.join("deploy/charts/external-secrets"))?;
    // CRDs replace the README, as in a release of the chart.
    let left_out = ["templates/validatingwebhook.yaml", "templates/crds/README.md"];
    files.retain(|path, _| !left_out.iter().any(|one| path == Path::new(one)));
    add_templates(&mut files, crds::of_kinds(&module.join("deploy/crds"), &SECRET_KINDS)?);
    Ok(files)
}

impl Real {
    fn files(&self, assets: &Assets) -> Result<Files> {
        let module = assets.module(self.module);
        let mut files = of_folder(&module.join(self.folder))?;
        files.retain(|path, _| !self.without.iter().any(|left_out| path == Path::new(left_out)));
        for included in self.includes {
            let name = Path::new(included).file_name().unwrap_or_default();
            for (path, bytes) in of_folder(&module.join(included))? {
                files.insert(PathBuf::from("charts").join(name).join(path), bytes);
            }
        }
        Ok(files)
    }
}

fn publish(pages: &mut Pages, published: &Published<'_>, mut files: Files) -> Result<()> {
    named(&mut files, published.name, published.version)?;
    match published.from.strip_prefix("oci://") {
        Some(place) => registry::add(pages, place, published, &files),
        None => repository::add(pages, published, &files),
    }
}

/// The names of all replacement charts.
pub(super) fn stand_in_names() -> Vec<String> {
    let ours = OURS.iter().map(|published| published.name.to_owned());
    let from_data = stand_ins::all().unwrap_or_default().into_iter().map(StandIn::into_name);
    ours.chain(from_data).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;
    use walkdir::WalkDir;

    use super::*;
    use bootstrapper_core::yaml;

    /// `oci://host/folder/chart version` of a source; `chart version` of one in a classic repository.
    fn wanted(object: &Value) -> Option<String> {
        let spec = &object["spec"];
        match object["kind"].as_str()? {
            "OCIRepository" => Some(format!("{} {}", spec["url"].as_str()?, spec["ref"]["tag"].as_str()?)),
            "HelmRelease" => {
                let chart = &spec["chart"]["spec"];
                Some(format!("{} {}", chart["chart"].as_str()?, chart["version"].as_str()?))
            }
            _ => None,
        }
    }

    #[test]
    fn a_sandbox_has_every_chart_of_the_layout() {
        let data = stand_ins::all().unwrap();
        let named = |one: &Published| match one.from.strip_prefix("oci://") {
            Some(_) => format!("{}/{} {}", one.from, one.name, one.version),
            None => format!("{} {}", one.name, one.version),
        };
        let real = REAL.iter().map(|real| &real.published).chain([&EXTERNAL_SECRETS]).chain(&OURS).map(named);
        let published = real.chain(data.iter().map(|one| named(&one.published())));
        let published: BTreeSet<String> = published.collect();
        let layout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kubernetes");
        let files = WalkDir::new(layout).into_iter().map(|entry| entry.unwrap().into_path());
        let manifests = files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
        let wanted: BTreeSet<String> = manifests
            .flat_map(|path| {
                yaml::from_multiple::<Value>(&std::fs::read_to_string(&path).unwrap(), &path).unwrap()
            })
            .filter_map(|object| wanted(&object))
            .collect();
        assert_eq!(published, wanted);
    }
}
