//! A hostile tenant on a real API server.

use std::path::Path;

use bootstrapper::cluster::Cluster;
use bootstrapper::object::ObjectRef;
use bootstrapper::readiness;
use kube::api::{Api, DynamicObject, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::{Client, Config};

use crate::common::tenant::attempts;

const TENANT: &str = "system:serviceaccount:example:tenant";
const GROUPS: [&str; 3] =
    ["system:serviceaccounts", "system:serviceaccounts:example", "system:authenticated"];

/// Each escalation is refused by whom the table names, and what a tenant may do is not. Outside of tenants'
/// namespaces the policies do not hold.
pub(crate) async fn a_tenant_gains_nothing(cluster: &Cluster, kubeconfig: &Path, domain: &str) {
    let hello = ObjectRef::namespaced("apps/v1", "Deployment", "example", "hello");
    assert!(readiness::verdict(&cluster.get(&hello).await.unwrap().unwrap()).is_ready());
    let (tenant, admin) = (client(kubeconfig, Some(TENANT)).await, client(kubeconfig, None).await);
    let mut wrong = Vec::new();
    for attempt in attempts() {
        if attempt.refused_by().is_some_and(|by| by.starts_with("policy ")) {
            let mut elsewhere = attempt.object_of(domain);
            elsewhere.metadata.namespace = Some("default".to_owned());
            let refusal = create(&admin, &elsewhere).await.err();
            wrong.extend(refusal.map(|refusal| format!("{} in default: {refusal}", attempt.what())));
        }
        let refusal = create(&tenant, &attempt.object_of(domain)).await.err();
        if !attempt.fits(refusal.as_deref()) {
            wrong.push(format!("{}: {}", attempt.what(), refusal.unwrap_or_else(|| "allowed".to_owned())));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Flux acts in a tenant's name by impersonation, and so does this.
async fn client(kubeconfig: &Path, impersonated: Option<&str>) -> Client {
    let mut read = Kubeconfig::read_from(kubeconfig).unwrap();
    for user in read.auth_infos.iter_mut().filter(|_| impersonated.is_some()) {
        let user = user.auth_info.as_mut().unwrap();
        user.impersonate = impersonated.map(str::to_owned);
        user.impersonate_groups = Some(GROUPS.map(str::to_owned).to_vec());
    }
    let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

/// Creates the object without keeping it: the API server decides in the same way.
async fn create(tenant: &Client, object: &DynamicObject) -> Result<(), String> {
    let types = object.types.clone().unwrap();
    let kind = GroupVersionKind::try_from(types).unwrap();
    let (resource, _) =
        kube::discovery::pinned_kind(tenant, &kind).await.map_err(|error| error.to_string())?;
    let api: Api<DynamicObject> = match object.metadata.namespace.as_deref() {
        Some(namespace) => Api::namespaced_with(tenant.clone(), namespace, &resource),
        None => Api::all_with(tenant.clone(), &resource),
    };
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    api.create(&dry_run, object).await.map(drop).map_err(|error| error.to_string())
}
