//! Simulates external-secrets: creates the Secret of an ExternalSecret, with values from a vault.

use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Map, Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::site::Site;
use crate::vault::Vault;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_core::private::Folder;

const MANAGER: &str = "external-secrets";

/// Creates the Secret.
pub(super) async fn make(site: &Site, declared: &Object) -> Result<()> {
    let vault = Vault::of(&site.folder)?;
    let id = ObjectRef::of(declared);
    let failed =
        |error: &kube::Error| Failure::step(format!("cannot create the Secret of {id}")).caused_by(error);
    let spec = &declared.data["spec"];
    let name = spec["target"]["name"].as_str().unwrap_or(&id.name);
    let secrets: Api<Secret> =
        Api::namespaced(site.cluster.client(), id.namespace.as_deref().unwrap_or_default());
    let policy = Policy::of(spec);
    let there = secrets.get_opt(name).await.map_err(|error| failed(&error))?;
    if !policy.gives(there.is_some()) {
        return Ok(());
    }
    let mut values = Map::new();
    for entry in spec["data"].as_array().into_iter().flatten() {
        let (name, key) = (entry["secretKey"].as_str(), entry["remoteRef"]["key"].as_str());
        let (Some(name), Some(key)) = (name, key) else { continue };
        let key = entry["remoteRef"]["property"].as_str().map_or(key.to_owned(), |of| format!("{key}/{of}"));
        values.insert(name.to_owned(), vault.value(&key)?.into());
    }
    let template = &spec["target"]["template"];
    let data = match template["data"].as_object() {
        Some(texts) => rendered(site, texts, &values).await?,
        None => values,
    };
    let encoded = |text: &Value| STANDARD.encode(text.as_str().unwrap_or_default());
    let data: Map<String, Value> =
        data.iter().map(|(key, text)| (key.clone(), encoded(text).into())).collect();
    let owners = match policy {
        Policy::Owner => json!([{
            "apiVersion": id.api_version, "kind": id.kind, "name": id.name,
            "uid": declared.metadata.uid, "controller": true,
        }]),
        _ => json!([]),
    };
    let kind = there.and_then(|there| there.type_);
    let kind = kind.as_deref().or(template["type"].as_str()).unwrap_or("Opaque");
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": name, "namespace": id.namespace,
            "labels": template["metadata"]["labels"], "annotations": template["metadata"]["annotations"],
            "ownerReferences": owners,
        },
        "type": kind,
        "data": data,
    });
    let parameters = PatchParams::apply(MANAGER).force();
    secrets.patch(name, &parameters, &Patch::Apply(&secret)).await.map(drop).map_err(|error| failed(&error))
}

/// The owner of the Secret (`spec.target.creationPolicy`).
#[derive(Debug, Clone, Copy, PartialEq)]
enum Policy {
    /// The ExternalSecret: the Secret is deleted with it.
    Owner,
    /// None.
    Orphan,
    /// Another owner, who creates it.
    Merge,
    /// No Secret is created.
    None,
}

impl Policy {
    fn of(spec: &Value) -> Self {
        match spec["target"]["creationPolicy"].as_str() {
            Some("Orphan") => Self::Orphan,
            Some("Merge") => Self::Merge,
            Some("None") => Self::None,
            _ => Self::Owner,
        }
    }

    /// Whether a Secret is written, depending on its existence.
    fn gives(self, is_there: bool) -> bool {
        match self {
            Self::Owner | Self::Orphan => true,
            Self::Merge => is_there,
            Self::None => false,
        }
    }
}

/// A chart that renders templates in its values. Helm's template language is that of external-secrets.
const CHART: &str = r"{{ range $name, $text := .Values.texts }}
{{ $name | quote }}: {{ tpl $text $.Values.data | toJson }}
{{- end }}
";

async fn rendered(
    site: &Site,
    texts: &Map<String, Value>,
    data: &Map<String, Value>,
) -> Result<Map<String, Value>> {
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Failure::step("cannot render the template of an ExternalSecret").caused_by(error)
    };
    let folder = Folder::in_memory()?;
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
    std::fs::create_dir(folder.path().join("templates"))
        .and_then(|()| write("Chart.yaml", "{apiVersion: v2, name: template, version: 1.0.0}"))
        .and_then(|()| write("templates/data.yaml", CHART))
        .map_err(|error| failed(&error))?;
    let mut helm = tokio::process::Command::new(site.programs.path("helm")?)
        .args(["template", "x", ".", "--values=-"])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(&error))?;
    if let Some(mut stdin) = helm.stdin.take() {
        let values = json!({"texts": texts, "data": data}).to_string();
        stdin.write_all(values.as_bytes()).await.map_err(|error| failed(&error))?;
    }
    let output = helm.wait_with_output().await.map_err(|error| failed(&error))?;
    if !output.status.success() {
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Failure::step("cannot render the template of an ExternalSecret").because(printed.trim()));
    }
    bootstrapper_core::yaml::from_str(&String::from_utf8_lossy(&output.stdout), "template".as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_merged_into_must_be_there() {
        let gives = |policy: &str, is_there| {
            Policy::of(&json!({"target": {"creationPolicy": policy}})).gives(is_there)
        };
        assert!(gives("Owner", false) && gives("Orphan", false) && gives("Merge", true));
        assert!(!gives("Merge", false) && !gives("None", false) && !gives("None", true));
        assert_eq!(Policy::of(&json!({})), Policy::Owner);
    }
}
