//! Schemas of the kinds that Kubernetes has built in, from the types of `k8s-openapi`: of the
//! version that this program is built against, which every supported server understands.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use k8s_openapi::{NamespaceResourceScope, Resource};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};

use super::{Known, Scope};

/// The Kubernetes version of the schemas.
const VERSION: &str = "Kubernetes 1.34";

static SCHEMAS: LazyLock<Schemas> = LazyLock::new(Schemas::generate);

struct Schemas {
    kinds: BTreeMap<(&'static str, &'static str), Kind>,
    definitions: Value,
}

struct Kind {
    schema: Value,
    scope: Scope,
}

pub(super) fn known(api_version: &str, kind: &str) -> Known<'static> {
    let schemas = &*SCHEMAS;
    let is_it = |(known, _): &(&(&str, &str), &Kind)| **known == (api_version, kind);
    if let Some((_, Kind { schema, scope })) = schemas.kinds.iter().find(is_it) {
        let (definitions, source) = (&schemas.definitions, VERSION.to_owned());
        return Known::Schema { schema, definitions, scope: *scope, source };
    }
    let group = |version: &str| version.split_once('/').map(|(group, _)| group.to_owned());
    let others = schemas.kinds.keys().filter(|(_, other)| *other == kind);
    let renamed =
        RENAMED.iter().find(|(old, of, _)| *of == kind && group(api_version).as_deref() == Some(old));
    let others: Vec<String> = match renamed {
        Some((_, _, new)) => vec![(*new).to_owned()],
        None => others
            .filter(|(version, _)| group(version) == group(api_version))
            .map(|(version, _)| (*version).to_owned())
            .collect(),
    };
    if others.is_empty() { Known::Nothing } else { Known::OtherVersions(others) }
}

/// Kinds that once were in another group: that group, the kind, and where it is now.
const RENAMED: [(&str, &str, &str); 6] = [
    ("extensions", "Ingress", "networking.k8s.io/v1"),
    ("extensions", "Deployment", "apps/v1"),
    ("extensions", "DaemonSet", "apps/v1"),
    ("extensions", "ReplicaSet", "apps/v1"),
    ("extensions", "NetworkPolicy", "networking.k8s.io/v1"),
    ("events.k8s.io", "Event", "events.k8s.io/v1"),
];

impl Schemas {
    fn generate() -> Self {
        let mut gathering =
            Gathering { generator: SchemaSettings::draft2020_12().into_generator(), kinds: BTreeMap::new() };
        gathering.all();
        let Gathering { mut generator, kinds } = gathering;
        let mut definitions = Value::Object(generator.take_definitions(true));
        // As an API server reads them: `cpu: 1` is a quantity too, and JSON is anything.
        definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"] = json!({"type": ["string", "number"]});
        definitions["io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON"] = json!({});
        Self { kinds, definitions }
    }
}

struct Gathering {
    generator: SchemaGenerator,
    kinds: BTreeMap<(&'static str, &'static str), Kind>,
}

impl Gathering {
    fn add<K: Resource + JsonSchema>(&mut self)
    where
        K::Scope: 'static,
    {
        let is_namespaced = TypeId::of::<K::Scope>() == TypeId::of::<NamespaceResourceScope>();
        let scope = if is_namespaced { Scope::Namespaced } else { Scope::Cluster };
        let schema = self.generator.subschema_for::<K>().to_value();
        self.kinds.insert((K::API_VERSION, K::KIND), Kind { schema, scope });
    }

    fn all(&mut self) {
        use k8s_openapi::api;
        macro_rules! add {
            ($($path:path),+ $(,)?) => { $(self.add::<$path>();)+ };
        }
        add!(
            api::admissionregistration::v1::MutatingWebhookConfiguration,
            api::admissionregistration::v1::ValidatingAdmissionPolicy,
            api::admissionregistration::v1::ValidatingAdmissionPolicyBinding,
            api::admissionregistration::v1::ValidatingWebhookConfiguration,
            api::apps::v1::ControllerRevision,
            api::apps::v1::DaemonSet,
            api::apps::v1::Deployment,
            api::apps::v1::ReplicaSet,
            api::apps::v1::StatefulSet,
            api::autoscaling::v1::HorizontalPodAutoscaler,
            api::autoscaling::v2::HorizontalPodAutoscaler,
            api::batch::v1::CronJob,
            api::batch::v1::Job,
            api::certificates::v1::CertificateSigningRequest,
            api::coordination::v1::Lease,
            api::core::v1::ConfigMap,
            api::core::v1::Endpoints,
            api::core::v1::LimitRange,
            api::core::v1::Namespace,
            api::core::v1::Node,
            api::core::v1::PersistentVolume,
            api::core::v1::PersistentVolumeClaim,
            api::core::v1::Pod,
            api::core::v1::PodTemplate,
            api::core::v1::ReplicationController,
            api::core::v1::ResourceQuota,
            api::core::v1::Secret,
            api::core::v1::Service,
            api::core::v1::ServiceAccount,
            api::discovery::v1::EndpointSlice,
            api::events::v1::Event,
            api::flowcontrol::v1::FlowSchema,
            api::flowcontrol::v1::PriorityLevelConfiguration,
            api::networking::v1::IPAddress,
            api::networking::v1::Ingress,
            api::networking::v1::IngressClass,
            api::networking::v1::NetworkPolicy,
            api::networking::v1::ServiceCIDR,
            api::node::v1::RuntimeClass,
            api::policy::v1::PodDisruptionBudget,
            api::rbac::v1::ClusterRole,
            api::rbac::v1::ClusterRoleBinding,
            api::rbac::v1::Role,
            api::rbac::v1::RoleBinding,
            api::resource::v1::DeviceClass,
            api::resource::v1::ResourceClaim,
            api::resource::v1::ResourceClaimTemplate,
            api::scheduling::v1::PriorityClass,
            api::storage::v1::CSIDriver,
            api::storage::v1::StorageClass,
            api::storage::v1::VolumeAttachment,
            api::storage::v1::VolumeAttributesClass,
            k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
            k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_known_by_version_and_group() {
        assert!(matches!(known("apps/v1", "Deployment"), Known::Schema { scope: Scope::Namespaced, .. }));
        assert!(matches!(known("v1", "Namespace"), Known::Schema { scope: Scope::Cluster, .. }));
        assert!(
            matches!(known("policy/v1beta1", "PodDisruptionBudget"), Known::OtherVersions(v) if v == ["policy/v1"])
        );
        assert!(
            matches!(known("extensions/v1beta1", "Ingress"), Known::OtherVersions(v) if v == ["networking.k8s.io/v1"])
        );
        assert!(matches!(known("example.org/v1", "Deployment"), Known::Nothing));
    }
}
