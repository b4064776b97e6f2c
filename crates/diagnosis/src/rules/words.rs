//! Objects that other programs name in their messages.

use std::sync::LazyLock;

use regex::Regex;

use bootstrapper_core::object::ObjectRef;

fn pattern(pattern: &str) -> Option<Regex> {
    Regex::new(pattern).ok()
}

/// `secret "db" not found`, `configmaps "a/b" not found`, `Secret 'db' does not exist`.
static ABSENT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r#"(?i)\b(secret|configmap)s?:? (?:["'`](?:([a-z0-9.-]+)/)?([a-z0-9.-]+)["'`]|([a-z0-9.-]+)/([a-z0-9.-]+)):? (?:was )?(?:not found|does not exist|doesn't exist)"#,
    )
});
/// `couldn't find key password in Secret web/db`.
static KEY: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r"find key \S+ in (Secret|ConfigMap) ([a-z0-9.-]+)/([a-z0-9.-]+)"));
/// `Unable to retrieve some image pull secrets (a, b)`.
static PULL: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"image pull secrets \(([^)]+)\)"));
/// `https://webhook.cert-manager.svc:443/validate`.
static SERVICE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(r"\b([a-z0-9](?:[a-z0-9-]*[a-z0-9])?)\.([a-z0-9](?:[a-z0-9-]*[a-z0-9])?)\.svc\b")
});

/// The Secrets and ConfigMaps that a message says are missing, or lack a key.
pub(super) fn wanted(said: &str, namespace: &str) -> Vec<ObjectRef> {
    let mut all = Vec::new();
    let mut add = |kind: &str, namespace: &str, name: &str| {
        let kind = if kind.eq_ignore_ascii_case("secret") { "Secret" } else { "ConfigMap" };
        let id = ObjectRef::namespaced("v1", kind, namespace, name);
        if !namespace.is_empty() && !all.contains(&id) {
            all.push(id);
        }
    };
    for found in ABSENT.iter().flat_map(|absent| absent.captures_iter(said)) {
        let part = |quoted: usize, plain: usize| {
            found.get(quoted).or_else(|| found.get(plain)).map(|part| part.as_str())
        };
        add(&found[1], part(2, 4).unwrap_or(namespace), part(3, 5).unwrap_or_default());
    }
    for found in KEY.iter().flat_map(|key| key.captures_iter(said)) {
        add(&found[1], &found[2], &found[3]);
    }
    for found in PULL.iter().flat_map(|pull| pull.captures_iter(said)) {
        found[1].split(", ").for_each(|name| add("Secret", namespace, name));
    }
    all
}

/// The Services whose addresses are in a text.
pub(super) fn services(text: &str) -> Vec<ObjectRef> {
    let mut all = Vec::new();
    for found in SERVICE.iter().flat_map(|service| service.captures_iter(text)) {
        let id = ObjectRef::namespaced("v1", "Service", &found[2], &found[1]);
        if !all.contains(&id) {
            all.push(id);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_what_they_want() {
        for (said, named) in [
            (r#"secret "db" not found"#, "Secret web/db"),
            (r#"MountVolume.SetUp failed for volume "tls" : configmap "ca" not found"#, "ConfigMap web/ca"),
            (r#"failed to get secret 'ns/git-auth': secrets "git-auth" not found"#, "Secret web/git-auth"),
            (r#"Error getting keypair for CA issuer: secrets "root-ca" not found"#, "Secret web/root-ca"),
            (r#"Secret "other/db" not found"#, "Secret other/db"),
            ("couldn't find key password in Secret web/db", "Secret web/db"),
            (
                "Unable to retrieve some image pull secrets (ghcr, quay); attempting to pull the image may not succeed.",
                "Secret web/ghcr, Secret web/quay",
            ),
            ("Secret web/db not found", "Secret web/db"),
            ("the secret is not found anywhere", ""),
            (r#"serviceaccount "x" not found"#, ""),
            ("secret not found", ""),
        ] {
            let found: Vec<String> = wanted(said, "web").iter().map(ToString::to_string).collect();
            assert_eq!(found.join(", "), named, "{said}");
        }
        assert!(wanted(r#"secret "db" not found"#, "").is_empty());
        let called = services(r#"Post "https://hook.ns.svc:443/x", http://a.b.svc.cluster.local and svc"#);
        assert_eq!(
            called.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["Service ns/hook", "Service b/a"]
        );
    }
}
