//! The signature that Flux requires of a chart, and whether the bootstrap can verify it (`verify` of an
//! OCIRepository, of a HelmChart, and of `chart.spec` of a HelmRelease; source-controller v1.9.4).

use serde_json::Value;

use super::chart_access::Secret;
use super::sources::Sources;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_tools::{ChartSource, Signature, SigningKeys};

/// The annotation with the reason why a source is accepted without verification.
pub const UNVERIFIED: &str = "bootstrapper/unverified";

/// The signature required of charts from this source; none if none is, or if the user accepts that.
pub(super) fn signature(
    verify: &Value,
    source: &Object,
    chart: &ChartSource,
    sources: &Sources,
) -> Option<Signature> {
    let accepted = source.metadata.annotations.as_ref().and_then(|all| all.get(UNVERIFIED));
    if !verify.is_object() || accepted.is_some_and(|reason| !reason.trim().is_empty()) {
        return None;
    }
    match keys(verify, source, chart, sources) {
        Ok(keys) => Some(Signature::Required(keys)),
        // A digest already identifies what is installed.
        Err(_) if chart.digest().is_some() => None,
        Err(why) => Some(Signature::Unchecked(why)),
    }
}

/// The keys of the Secret that `verify` references; or why they are not sufficient.
fn keys(
    verify: &Value,
    source: &Object,
    chart: &ChartSource,
    sources: &Sources,
) -> Result<SigningKeys, String> {
    if !matches!(chart, ChartSource::Oci { .. }) {
        return Err("Flux verifies only charts of OCI registries".to_owned());
    }
    match verify["provider"].as_str() {
        Some("cosign") | None => {}
        Some(other) => return Err(format!("the bootstrap verifies cosign signatures, not those of {other}")),
    }
    let id = ObjectRef::of(source);
    let Some(name) = verify["secretRef"]["name"].as_str() else {
        return Err("it is keyless, and the bootstrap verifies only with public keys".to_owned());
    };
    let secret = format!("Secret {}/{name}", id.namespace.as_deref().unwrap_or_default());
    let known = Secret::of(verify, "secretRef", &id, sources)
        .ok()
        .flatten()
        .ok_or_else(|| format!("{secret} with the public key exists only in the cluster"))?;
    // source-controller uses every entry with this suffix.
    let keys = known.0.iter().filter(|(name, _)| name.strip_suffix(".pub").is_some());
    Ok(SigningKeys { keys: keys.map(|(_, key)| key.clone().into()).collect(), secret })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(verify: &Value, annotations: &Value, version: &str) -> Option<Signature> {
        let object = |kind: &str, name: &str, annotations: &Value, data: &Value| -> Object {
            serde_json::from_value(json!({
                "apiVersion": "v1", "kind": kind, "stringData": data,
                "metadata": {"name": name, "namespace": "n", "annotations": annotations},
            }))
            .unwrap()
        };
        let mut sources = Sources::default();
        sources.add(&object("Secret", "keys", &json!({}), &json!({"cosign.pub": "PEM", "cosign.key": "x"})));
        let source = object("OCIRepository", "charts", annotations, &json!({}));
        let chart = ChartSource::Oci { url: "oci://x.test/a".into(), version: version.into() };
        signature(verify, &source, &chart, &sources)
    }

    #[test]
    fn a_key_at_hand_is_required_and_anything_else_is_named() {
        let keys = json!({"provider": "cosign", "secretRef": {"name": "keys"}});
        let required = |signature: &Option<Signature>| match signature {
            Some(Signature::Required(keys)) => keys.keys.len(),
            _ => 0,
        };
        let digest = "sha256:aa";
        assert_eq!(required(&of(&keys, &json!({}), "1.0.0")), 1);
        assert_eq!(required(&of(&keys, &json!({}), digest)), 1);
        assert!(of(&keys, &json!({UNVERIFIED: "its publisher lost the key"}), "1.0.0").is_none());
        assert!(of(&Value::Null, &json!({}), "1.0.0").is_none());
        let table = [
            (json!({"provider": "cosign", "matchOIDCIdentity": [{"issuer": "x"}]}), "keyless"),
            (json!({"provider": "cosign", "secretRef": {"name": "unknown"}}), "Secret n/unknown"),
            (json!({"provider": "notation", "secretRef": {"name": "keys"}}), "notation"),
        ];
        for (verify, expected) in table {
            let Some(Signature::Unchecked(why)) = of(&verify, &json!({}), "1.0.0") else {
                panic!("{verify}")
            };
            assert!(why.contains(expected), "{why}");
            assert!(of(&verify, &json!({}), digest).is_none(), "the digest says what is installed");
        }
    }
}
