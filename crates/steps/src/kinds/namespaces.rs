//! Namespaces: listed ones, or all that contain declared objects and secrets.

use super::Kind;
use crate::plan::{Inputs, Planned, Planner};
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Complete, Object};
use bootstrapper_core::words::count;
use bootstrapper_gitops::pipeline::{Named, NamespacesSpec};

impl Kind for NamespacesSpec {
    fn plan(&self, planner: &Planner<'_>) -> Result<Planned> {
        let objects = namespaces(&self.0, planner.inputs);
        Ok(Planned::step(count(objects.len(), "namespace"), planner.objects("namespace", objects, None)))
    }
}

/// The listed namespaces, or all that contain declared objects and secrets.
fn namespaces(wanted: &Named, inputs: &Inputs<'_>) -> Vec<Complete<Object>> {
    let names = match wanted {
        Named::These(names) => names.iter().cloned().collect(),
        Named::Declared => {
            let mut names = inputs.declared.namespaces();
            names
                .extend(inputs.secrets.objects.iter().filter_map(|secret| secret.metadata.namespace.clone()));
            names
                .extend(inputs.secrets.lacking.iter().filter_map(|secret| secret.metadata.namespace.clone()));
            names
        }
    };
    let resource = kube::api::ApiResource::erase::<k8s_openapi::api::core::v1::Namespace>(&());
    // Kubernetes creates some namespaces itself; they are never declared.
    let own = |name: &String| {
        !matches!(name.as_str(), "default" | "kube-system" | "kube-public" | "kube-node-lease")
    };
    names
        .into_iter()
        .filter(own)
        .map(|name| {
            let bare = || Complete::of_own(Object::new(&name, &resource));
            inputs.declared.namespace(&name).unwrap_or_else(bare)
        })
        .collect()
}
