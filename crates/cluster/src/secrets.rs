//! Marks every Secret in a response of the API server for masking on arrival, and the credentials of a
//! kubeconfig.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use kube::config::Kubeconfig;
use serde_json::Value;

use bootstrapper_core::masking;
use bootstrapper_core::object::Object;

/// Whether the response to a request may contain Secrets, or a token.
pub(super) fn is_about_secrets(uri: &Uri) -> bool {
    let path = uri.path();
    let within = path.strip_prefix("/api/v1/").unwrap_or_default();
    let resource = within.strip_prefix("namespaces/").and_then(|rest| Some(rest.split_once('/')?.1));
    resource.unwrap_or(within).split('/').next() == Some("secrets") || path.ends_with("/token")
}

/// Marks the Secrets in a response.
pub(super) fn mark_body(body: &[u8]) {
    let Ok(answer) = serde_json::from_slice::<Value>(body) else { return };
    masking::mark_object(&answer);
    if let Some(token) = answer["status"]["token"].as_str() {
        masking::mark(token);
    }
}

/// Marks the values of an object, if it is a Secret.
pub(super) fn mark_object(object: &Object) {
    if object.types.as_ref().is_some_and(|types| types.kind == "Secret") {
        masking::mark_secret(object.data["type"].as_str().unwrap_or_default(), &object.data);
    }
}

/// Marks the credentials of every user in a kubeconfig.
pub(super) fn mark_credentials(kubeconfig: &Kubeconfig) {
    let Ok(written) = serde_json::to_value(kubeconfig) else { return };
    for entry in written["users"].as_array().into_iter().flatten() {
        let user = &entry["user"];
        for field in ["token", "password"] {
            user[field].as_str().into_iter().for_each(masking::mark);
        }
        if let Some(key) = user["client-key-data"].as_str() {
            masking::mark(key);
            STANDARD.decode(key).into_iter().for_each(|key| masking::mark_bytes(&key));
        }
        for variable in user["exec"]["env"].as_array().into_iter().flatten() {
            variable["value"].as_str().into_iter().for_each(masking::mark);
        }
        for (_, value) in user["auth-provider"]["config"].as_object().into_iter().flatten() {
            value.as_str().into_iter().for_each(masking::mark);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bootstrapper_core::masking::masked;

    #[test]
    fn requests_about_secrets_are_known_by_their_path() {
        for (path, expected) in [
            ("/api/v1/secrets?limit=500", true),
            ("/api/v1/namespaces/a/secrets/b", true),
            ("/api/v1/namespaces/a/serviceaccounts/b/token", true),
            ("/api/v1/namespaces/secrets", false),
            ("/api/v1/namespaces/secrets/pods/b", false),
            ("/apis/apps/v1/namespaces/a/deployments", false),
        ] {
            assert_eq!(is_about_secrets(&path.parse().unwrap()), expected, "{path}");
        }
    }

    #[test]
    fn what_arrives_is_marked() {
        let value = STANDARD.encode("arrived-in-a-list");
        mark_body(
            format!("{{\"kind\":\"SecretList\",\"items\":[{{\"data\":{{\"a\":\"{value}\"}}}}]}}").as_bytes(),
        );
        mark_body(b"{\"kind\":\"Secret\",\"stringData\":{\"a\":\"arrived-alone-1\"}}");
        mark_body(b"{\"kind\":\"TokenRequest\",\"status\":{\"token\":\"arrived-as-token\"}}");
        let kubeconfig: Kubeconfig = serde_json::from_value(serde_json::json!({"users": [{"name": "u", "user": {
            "token": "of-a-kubeconfig-1", "password": "of-a-kubeconfig-2", "client-key-data": STANDARD.encode("of-a-kubeconfig-3"),
            "exec": {"command": "x", "env": [{"name": "A", "value": "of-a-kubeconfig-4"}]},
        }}]}))
        .unwrap();
        mark_credentials(&kubeconfig);
        let all = "arrived-in-a-list arrived-alone-1 arrived-as-token of-a-kubeconfig-1 of-a-kubeconfig-2 \
                   of-a-kubeconfig-3 of-a-kubeconfig-4";
        assert_eq!(masked(all), "*** *** *** *** *** *** ***");
    }
}
