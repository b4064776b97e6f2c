//! What makes an object that nobody declares as such: the operator's object behind a Secret or ConfigMap.

use super::external_secrets::{NOT_MADE, NOT_SYNCED};
use super::facts::{line, list, namespace};
use crate::finding::{Finding, Insight};
use crate::scene::Inquiry;
use bootstrapper_core::object::{Object, ObjectRef, Selection};
use bootstrapper_readiness::{self as readiness, text};

/// A kind whose objects make Secrets or ConfigMaps.
struct Maker {
    api_version: &'static str,
    kind: &'static str,
    /// Whether its objects have no namespace, and make objects in several.
    is_everywhere: bool,
    makes: &'static [&'static str],
    name: Name,
}

/// How the object that it makes is called.
enum Name {
    /// As the first of these fields that is set, else as the maker.
    In(&'static [&'static str]),
    /// As the maker, with one of these endings.
    With(&'static [&'static str]),
    /// With this prefix, whatever the maker's name.
    From(&'static str),
    /// With this prefix, and then the value of a field and the name of the maker.
    After(&'static str, &'static str),
}

const fn local(api_version: &'static str, kind: &'static str, name: Name) -> Maker {
    Maker { api_version, kind, is_everywhere: false, makes: &["Secret"], name }
}

const MAKERS: [Maker; 14] = [
    local("external-secrets.io/v1", "ExternalSecret", Name::In(&["/spec/target/name"])),
    Maker {
        is_everywhere: true,
        ..local(
            "external-secrets.io/v1",
            "ClusterExternalSecret",
            Name::In(&["/spec/externalSecretSpec/target/name", "/spec/externalSecretName"]),
        )
    },
    local("cert-manager.io/v1", "Certificate", Name::In(&["/spec/secretName"])),
    Maker {
        is_everywhere: true,
        makes: &["Secret", "ConfigMap"],
        ..local("trust.cert-manager.io/v1alpha1", "Bundle", Name::In(&[]))
    },
    Maker {
        makes: &["Secret", "ConfigMap"],
        ..local("objectbucket.io/v1alpha1", "ObjectBucketClaim", Name::In(&[]))
    },
    local("bitnami.com/v1alpha1", "SealedSecret", Name::In(&[])),
    local("onepassword.com/v1", "OnePasswordItem", Name::In(&[])),
    local(
        "secrets.infisical.com/v1alpha1",
        "InfisicalSecret",
        Name::In(&["/spec/managedSecretReference/secretName"]),
    ),
    local("secrets.hashicorp.com/v1beta1", "VaultStaticSecret", Name::In(&["/spec/destination/name"])),
    local("secrets.hashicorp.com/v1beta1", "VaultDynamicSecret", Name::In(&["/spec/destination/name"])),
    local(
        "postgresql.cnpg.io/v1",
        "Cluster",
        Name::With(&["-app", "-superuser", "-ca", "-server", "-replication"]),
    ),
    local("ceph.rook.io/v1", "CephClient", Name::In(&["/spec/secretName"])),
    local("ceph.rook.io/v1", "CephCluster", Name::From("rook-csi-")),
    local("ceph.rook.io/v1", "CephObjectStoreUser", Name::After("rook-ceph-object-user-", "/spec/store")),
];

impl Maker {
    fn makes(&self, maker: &Object, id: &ObjectRef) -> bool {
        let own = maker.metadata.name.as_deref().unwrap_or_default();
        match &self.name {
            Name::In(fields) => {
                let named = fields.iter().find_map(|field| maker.data.pointer(field)?.as_str());
                id.name == named.filter(|name| !name.is_empty()).unwrap_or(own)
            }
            Name::With(endings) => {
                let ending = id.name.strip_prefix(own);
                ending.is_some_and(|ending| endings.contains(&ending))
            }
            Name::From(prefix) => id.name.starts_with(prefix),
            Name::After(prefix, field) => {
                let of = maker.data.pointer(field).and_then(serde_json::Value::as_str).unwrap_or_default();
                id.name == format!("{prefix}{of}-{own}")
            }
        }
    }
}

/// What makes an object of this name, or would.
fn of<'a>(inquiry: &Inquiry<'a>, id: &ObjectRef) -> Vec<&'a Object> {
    let of_kind = MAKERS.iter().filter(|maker| maker.makes.contains(&id.kind.as_str()));
    let found = of_kind.flat_map(|maker| {
        let all = Selection::of(maker.api_version, maker.kind);
        let all = if maker.is_everywhere { all } else { all.within(namespace(id)) };
        inquiry.all(&all).into_iter().filter(|object| maker.makes(object, id))
    });
    if id.api_version == "v1" && id.namespace.is_some() { found.collect() } else { Vec::new() }
}

/// An object that exists: what fails to renew it.
pub(super) fn behind(inquiry: &Inquiry<'_>, id: &ObjectRef) -> Insight {
    Insight::nothing()
        .and_for(of(inquiry, id).into_iter().filter(|maker| !readiness::verdict(maker).is_ready()))
}

/// An object that does not exist: what should have made it.
pub(super) fn absent(inquiry: &Inquiry<'_>, id: &ObjectRef) -> Insight {
    let makers = of(inquiry, id);
    let idle = makers.iter().find_map(|maker| {
        let policy = text(&maker.data["spec"]["target"]["creationPolicy"]);
        matches!(policy, "Merge" | "None").then(|| {
            Finding::new(
                &NOT_MADE,
                format!("not found: {} has creationPolicy {policy}", ObjectRef::of(maker)),
            )
        })
    });
    let of_namespace = makers.iter().find_map(|maker| refused_in(maker, namespace(id)));
    // Kinds whose readiness has no rule are asked for any condition that failed.
    let failed = || makers.iter().find_map(|maker| failed(maker));
    match idle.or(of_namespace).or_else(failed) {
        Some(own) => own.into(),
        None => Insight::nothing().and_for(makers),
    }
}

/// What a maker says that it cannot do, though no rule calls it unready: `Synced` of a SealedSecret.
fn failed(maker: &Object) -> Option<Finding> {
    if !readiness::verdict(maker).is_ready() {
        return None;
    }
    let about = ObjectRef::of(maker);
    let phase = text(&maker.data["status"]["phase"]);
    if phase.contains("Fail") {
        return Some(Finding::new(&NOT_SYNCED, format!("cannot be made: is {phase}")).about(about));
    }
    let failed = list(&maker.data["status"]["conditions"])
        .find(|condition| condition["status"] == "False" && !text(&condition["message"]).is_empty())?;
    let what = format!("cannot be synced: {}", line(text(&failed["message"])));
    Some(Finding::new(&NOT_SYNCED, what).about(about))
}

/// A namespace in which a ClusterExternalSecret could not make its ExternalSecret.
fn refused_in(maker: &Object, namespace: &str) -> Option<Finding> {
    let failed = list(&maker.data["status"]["failedNamespaces"]).find(|one| one["namespace"] == namespace)?;
    let maker = ObjectRef::of(maker);
    Some(Finding::new(
        &NOT_SYNCED,
        format!("not found: {maker} fails in namespace {namespace}: {}", text(&failed["reason"])),
    ))
}
