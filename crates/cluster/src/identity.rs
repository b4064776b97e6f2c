//! A cluster's identity, recorded by its first run: name, address ranges and mesh id. A run with a different
//! identity stops before anything is written.

use std::collections::BTreeMap;

use kube::core::ObjectMeta;
use serde_json::json;

use super::{Cluster, HOME, here};
use bootstrapper_core::failure::{Failure, FailureKind, Result};
use bootstrapper_core::object::{Complete, Object, ObjectRef};

/// The ConfigMap with the identity, and with notes of steps.
pub(super) const RECORD: &str = "bootstrapper";

/// The settings that cannot change during a cluster's lifetime.
const LASTING: [&str; 3] = ["CLUSTER_ID", "POD_CIDR", "SERVICE_CIDR"];

pub(super) fn record() -> ObjectRef {
    ObjectRef::namespaced("v1", "ConfigMap", HOME, RECORD)
}

/// The identity of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Its name in the repository.
    pub name: String,
    /// Its immutable settings.
    lasting: BTreeMap<String, String>,
}

impl Identity {
    /// The requested identity: only a name, before the repository is read.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), lasting: BTreeMap::new() }
    }

    /// The repository's declaration of the cluster `name`.
    pub fn declared(name: &str, settings: &BTreeMap<String, String>) -> Self {
        let lasting = LASTING.iter().filter_map(|&key| Some((key.to_owned(), settings.get(key)?.clone())));
        Self { name: name.to_owned(), lasting: lasting.collect() }
    }

    /// The first setting that differs in `other`, with both values. A setting that is unknown on one side
    /// does not differ.
    fn differs_from<'a>(&'a self, other: &'a Self) -> Option<(&'a str, &'a str, &'a str)> {
        let known =
            self.lasting.iter().filter_map(|(key, value)| Some((key, value, other.lasting.get(key)?)));
        known
            .filter(|(_, own, others)| own != others)
            .map(|(key, own, others)| (key.as_str(), own.as_str(), others.as_str()))
            .next()
    }
}

/// The identity record of a cluster.
#[derive(Debug, Clone)]
pub struct IdentityRecord {
    identity: Identity,
    /// When and by whom it was first bootstrapped.
    first: String,
    /// Whether the record was written in this cluster, not restored from another.
    is_its_own: bool,
    /// The context, and its server.
    place: String,
}

impl IdentityRecord {
    /// Fails unless the cluster is `wanted`.
    pub fn require(&self, wanted: &Identity) -> Result<()> {
        let Self { identity, first, is_its_own, place } = self;
        let wrong = |what: String| Failure::new(FailureKind::WrongCluster, what).because(place);
        let elsewhere = "use --context, or map contexts to clusters in bootstrapper.yaml";
        let forget = format!(
            "if you are sure, delete the record of its identity: `kubectl -n {HOME} delete configmap {RECORD}`"
        );
        if identity.name != wanted.name {
            let (known, asked) = (&identity.name, &wanted.name);
            return Err(wrong(format!("this is cluster `{known}` ({first}), not `{asked}`")).hint(elsewhere));
        }
        if !is_its_own {
            return Err(wrong(format!("the identity record comes from another cluster ({first})"))
                .because("the UID of namespace kube-system has changed: the cluster was restored from a backup, or copied")
                .hint(elsewhere)
                .hint(forget));
        }
        match identity.differs_from(wanted) {
            None => Ok(()),
            Some((key, then, now)) => Err(wrong(format!(
                "{} was bootstrapped with {key} {then} ({first}), but the repository declares {now}",
                wanted.name
            ))
            .hint(elsewhere)
            .hint(format!("restore {key}: only a new cluster can have another value"))
            .hint(forget)),
        }
    }
}

impl Cluster {
    /// The identity record of the cluster; none before its first run.
    pub async fn identity_record(&self) -> Result<Option<IdentityRecord>> {
        let id = record();
        let (record, uid) = tokio::try_join!(self.get(&id), self.uid())?;
        let Some(record) = record else { return Ok(None) };
        let text = |key: &str| record.data["data"][key].as_str().map(str::to_owned);
        // A record without a name is ignored; other missing or unreadable fields are unknown.
        let Some(name) = text("cluster") else { return Ok(None) };
        let lasting = text("settings").and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let day = text("since").unwrap_or_default().chars().take_while(|one| *one != 'T').collect::<String>();
        let by = text("by").unwrap_or_else(|| "somebody".to_owned());
        Ok(Some(IdentityRecord {
            identity: Identity { name, lasting },
            first: format!("bootstrapped {day} by {by}"),
            is_its_own: text("uid").is_none_or(|then| then == uid),
            place: format!("context `{}` → {}", self.access().context, self.server_url()),
        }))
    }

    /// Records the cluster's identity, if there is none; fails if it is different.
    pub async fn record_identity(&self, identity: &Identity) -> Result<()> {
        if let Some(identity_record) = self.identity_record().await? {
            return identity_record.require(identity);
        }
        let object = Object {
            types: Some(kube::core::TypeMeta { api_version: "v1".into(), kind: "ConfigMap".into() }),
            metadata: ObjectMeta {
                name: Some(RECORD.to_owned()),
                namespace: Some(HOME.to_owned()),
                ..ObjectMeta::default()
            },
            data: json!({"data": {
                "cluster": identity.name,
                "since": jiff::Timestamp::now().to_string(),
                "by": here(),
                "uid": self.uid().await?,
                "settings": json!(identity.lasting).to_string(),
            }}),
        };
        self.apply(&Complete::of_own(object), false).await.map(drop)
    }

    /// Removes the recorded identity: the cluster may be bootstrapped as another one.
    pub async fn forget_identity(&self) -> Result<()> {
        self.delete(&record()).await
    }

    /// A unique id of the cluster: the UID of a namespace that each cluster creates itself.
    async fn uid(&self) -> Result<String> {
        let namespace = self.get(&ObjectRef::cluster_scoped("v1", "Namespace", HOME)).await?;
        Ok(namespace.and_then(|namespace| namespace.metadata.uid).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(name: &str, settings: &[(&str, &str)]) -> Identity {
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Identity::declared(name, &settings)
    }

    fn identity_record(identity: Identity) -> IdentityRecord {
        IdentityRecord {
            identity,
            first: "bootstrapped 2026-11-28 by alice@laptop".to_owned(),
            is_its_own: true,
            place: "context `infra` → https://x".to_owned(),
        }
    }

    #[test]
    fn another_name_range_or_mesh_id_is_another_cluster() {
        let known = identity_record(identity("infra", &[("CLUSTER_ID", "1"), ("POD_CIDR", "10.42.0.0/16")]));
        let same =
            [("CLUSTER_ID", "1"), ("POD_CIDR", "10.42.0.0/16"), ("DOMAIN", "x"), ("SERVICE_CIDR", "y")];
        known.require(&identity("infra", &same)).unwrap();
        known.require(&identity("infra", &[])).unwrap();
        for (wanted, said) in [
            (
                identity("apps", &same),
                "this is cluster `infra` (bootstrapped 2026-11-28 by alice@laptop), not `apps`",
            ),
            (identity("infra", &[("CLUSTER_ID", "2")]), "with CLUSTER_ID 1"),
            (identity("infra", &[("POD_CIDR", "10.1.0.0/16")]), "the repository declares 10.1.0.0/16"),
        ] {
            let failure = known.require(&wanted).unwrap_err();
            assert_eq!(failure.kind, FailureKind::WrongCluster);
            assert!(failure.what.contains(said), "{failure}");
        }
        let copied = IdentityRecord { is_its_own: false, ..known };
        assert!(copied.require(&identity("infra", &same)).unwrap_err().to_string().contains("backup"));
    }
}
