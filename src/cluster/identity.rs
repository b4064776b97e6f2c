//! A cluster remembers its name, so that nobody bootstraps the wrong one.

use kube::core::ObjectMeta;
use serde_json::json;

use super::{Cluster, HOME};
use crate::failure::{Failure, FailureKind, Result};
use crate::object::{Object, ObjectRef};
use crate::tools::host;

/// The ConfigMap that holds the cluster's name, and the ledger.
pub(super) const RECORD: &str = "bootstrapper";

pub(super) fn record() -> ObjectRef {
    ObjectRef::namespaced("v1", "ConfigMap", HOME, RECORD)
}

impl Cluster {
    /// Fails if the cluster knows itself by another name than `name`.
    pub async fn check_identity(&self, name: &str) -> Result<()> {
        let Some(record) = self.get(&record()).await? else { return Ok(()) };
        let text = |key: &str| record.data["data"][key].as_str().unwrap_or("unknown").to_owned();
        let known = text("cluster");
        if known == name {
            return Ok(());
        }
        let since = text("since");
        let day = since.split('T').next().unwrap_or_default();
        Err(Failure::new(
            FailureKind::WrongCluster,
            format!("this cluster knows itself as `{known}` (bootstrapped {day} from host `{}`), you asked for `{name}`", text("host")),
        )
        .because(format!("context `{}` → {}", self.access().context, self.server_url()))
        .hint("use --context, or map contexts to clusters in bootstrapper.yaml"))
    }

    /// Lets the cluster remember its name, if it does not yet.
    pub async fn record_identity(&self, name: &str) -> Result<()> {
        if self.get(&record()).await?.is_some() {
            return self.check_identity(name).await;
        }
        let object = Object {
            types: Some(kube::core::TypeMeta { api_version: "v1".into(), kind: "ConfigMap".into() }),
            metadata: ObjectMeta {
                name: Some(RECORD.to_owned()),
                namespace: Some(HOME.to_owned()),
                ..ObjectMeta::default()
            },
            data: json!({"data": {
                "cluster": name,
                "since": jiff::Timestamp::now().to_string(),
                "host": host(),
            }}),
        };
        self.apply(&object, false).await.map(drop)
    }
}
