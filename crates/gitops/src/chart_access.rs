//! How Flux accesses the source of a chart, and whether Helm can do the same (source-controller v1.9.4:
//! OCIRepository and HelmRepository).

use secrecy::SecretString;
use serde_json::Value;

use super::sources::{Sources, UNKNOWN};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_tools::ChartAccess;

/// The layer that Helm supports.
const CHART_LAYER: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";

/// Fields of a source that Helm does not support, and why.
const STOPS: [(&str, &str); 3] = [
    ("serviceAccountName", "Flux uses the pull secrets of a ServiceAccount"),
    ("ref.semverFilter", "Helm cannot filter the tags of a range"),
    ("layerSelector.mediaType", "Helm supports only the layer of a chart"),
];

/// How to access the source; or why the bootstrap cannot.
pub(super) fn access(source: &Object, sources: &Sources) -> Result<ChartAccess> {
    let id = ObjectRef::of(source);
    let spec = &source.data["spec"];
    let stop = |field: &str, why: &str| {
        Failure::input(format!("{id} has {field}, so the bootstrap cannot fetch its chart"))
            .because(why)
            .hint("remove the release from the tasks of the bootstrap, and let Flux install it")
    };
    for (field, why) in STOPS {
        let value = field.split('.').fold(spec, |value, key| &value[key]);
        if value.is_object() || value.as_str().is_some_and(|text| !text.is_empty() && text != CHART_LAYER) {
            return Err(stop(field, why));
        }
    }
    if spec["provider"].as_str().is_some_and(|provider| provider != "generic") {
        return Err(stop("a provider", "Flux uses a cloud identity"));
    }
    let read = |field: &str| Secret::of(spec, field, &id, sources);
    let mut access = ChartAccess {
        is_artifact: id.kind == "OCIRepository",
        plain_http: spec["insecure"] == true,
        pass_credentials: spec["passCredentials"] == true,
        ..ChartAccess::default()
    };
    // If only the cluster has the credentials, the user's own login with Helm is used.
    if let Ok(Some(secret)) = read("secretRef") {
        access.docker_config = secret.get(".dockerconfigjson");
        access.user = secret.get("username").zip(secret.get("password"));
    }
    if let Some(secret) = read("certSecretRef")? {
        access.authority = secret.get("ca.crt");
        access.identity = secret.get("tls.crt").zip(secret.get("tls.key"));
    }
    if let Some(secret) = read("proxySecretRef")? {
        access.proxy = secret.proxy();
    }
    Ok(access)
}

/// A known Secret.
pub(super) struct Secret<'a>(pub(super) &'a std::collections::BTreeMap<String, String>);

impl<'a> Secret<'a> {
    /// The Secret that a field of a source references, if any.
    pub(super) fn of(
        spec: &Value,
        field: &str,
        id: &ObjectRef,
        sources: &'a Sources,
    ) -> Result<Option<Self>> {
        let Some(name) = spec[field]["name"].as_str() else { return Ok(None) };
        let namespace = id.namespace.as_deref().unwrap_or_default();
        let known = sources.get("Secret", namespace, name).filter(|secret| {
            !secret.is_open && !secret.data.is_empty() && secret.data.values().all(|value| value != UNKNOWN)
        });
        known.map(|secret| Some(Self(&secret.data))).ok_or_else(|| {
            Failure::input(format!(
                "{id} requires Secret {namespace}/{name}, whose values exist only in the cluster"
            ))
            .hint(
                "declare that Secret under `secrets` in bootstrapper.yaml (`sops:` reads an encrypted file)",
            )
        })
    }

    fn get(&self, key: &str) -> Option<SecretString> {
        self.0.get(key).filter(|value| !value.is_empty()).map(|value| value.clone().into())
    }

    /// `address`, including `username` and `password`.
    fn proxy(&self) -> Option<SecretString> {
        let mut url = url::Url::parse(self.0.get("address")?).ok()?;
        if let Some(user) = self.0.get("username") {
            let _ = url.set_username(user);
        }
        let _ = url.set_password(self.0.get("password").map(String::as_str));
        Some(url.to_string().into())
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;
    use serde_json::json;

    use super::*;

    fn of(spec: &Value, data: &Value) -> Result<ChartAccess> {
        let object = |kind: &str, name: &str, rest: &Value| -> Object {
            let mut object =
                json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "n"}});
            object.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
            serde_json::from_value(object).unwrap()
        };
        let mut sources = Sources::default();
        sources.add(&object("Secret", "s", &json!({"stringData": data})));
        access(&object("OCIRepository", "charts", &json!({"spec": spec})), &sources)
    }

    #[test]
    fn what_helm_can_do_is_done_and_what_it_cannot_stops() {
        let named = json!({"name": "s"});
        let access =
            of(&json!({"secretRef": named, "insecure": true}), &json!({"username": "u", "password": "p"}))
                .unwrap();
        assert!(access.plain_http && access.user.unwrap().1.expose_secret() == "p");
        let access = of(&json!({"certSecretRef": named}), &json!({"ca.crt": "ca"})).unwrap();
        assert_eq!(access.authority.unwrap().expose_secret(), "ca");
        let proxy = json!({"address": "http://proxy.test:3128", "username": "u", "password": "p/q"});
        let access = of(&json!({"proxySecretRef": named}), &proxy).unwrap();
        assert_eq!(access.proxy.unwrap().expose_secret(), "http://u:p%2Fq@proxy.test:3128/");
        assert!(
            of(&json!({"layerSelector": {"mediaType": CHART_LAYER, "operation": "copy"}}), &json!({}))
                .is_ok()
        );
        for spec in [
            json!({"provider": "aws"}),
            json!({"serviceAccountName": "puller"}),
            json!({"ref": {"semver": "*", "semverFilter": ".*-rc.*"}}),
            json!({"layerSelector": {"mediaType": "application/x-other"}}),
            json!({"certSecretRef": {"name": "unknown"}}),
        ] {
            assert!(of(&spec, &json!({"a": "b"})).is_err(), "{spec}");
        }
        assert!(of(&json!({"certSecretRef": named}), &json!({"tls.key": "ENC[x]"})).is_err());
        assert!(of(&json!({"secretRef": named}), &json!({"password": "ENC[x]"})).unwrap().user.is_none());
    }
}
