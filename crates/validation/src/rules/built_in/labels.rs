//! Labels, which every object may have.

use super::Fault;
use crate::fleet::Placed;
use bootstrapper_gitops::order::at;

/// The labels of a workload's pods.
const OF_PODS: [&str; 2] =
    ["spec.template.metadata.labels", "spec.jobTemplate.spec.template.metadata.labels"];

pub(super) fn faults(placed: Placed<'_>) -> Vec<Fault> {
    let own = placed.object.metadata.labels.iter().flatten();
    let own = own.map(|(key, value)| ("metadata.labels", key.as_str(), value.as_str()));
    // Other kinds may mean something else by `template`.
    let templates = OF_PODS.into_iter().filter(|_| matches!(placed.id().group(), "" | "apps" | "batch"));
    let of_pods = templates.flat_map(|path| {
        let entries = at(&placed.object.data, path).as_object().into_iter().flatten();
        entries.filter_map(move |(key, value)| Some((path, key.as_str(), value.as_str()?)))
    });
    own.chain(of_pods).filter_map(|(path, key, value)| fault(path, key, value)).collect()
}

fn fault(path: &str, key: &str, value: &str) -> Option<Fault> {
    let place = format!("{path}[\"{key}\"]");
    if !is_key(key) {
        return Some(Fault::new(place, format!("`{key}` is not a valid name for a label")));
    }
    (!is_value(value)).then(|| {
        let form =
            "at most 63 letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit";
        Fault::new(place, format!("label {key} has the value `{value}`, which must have {form}"))
    })
}

fn is_key(key: &str) -> bool {
    let (prefix, name) = key.rsplit_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let is_domain = |prefix: &str| {
        (1..=253).contains(&prefix.len())
            && prefix.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
    };
    !name.is_empty() && is_value(name) && prefix.is_none_or(is_domain)
}

fn is_value(value: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = value.as_bytes();
    bytes.is_empty()
        || (bytes.len() <= 63
            && is_end(bytes.first())
            && is_end(bytes.last())
            && bytes.iter().copied().all(is_inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_labels() {
        for (key, value, is_valid) in [
            ("app", "front", true),
            ("app.kubernetes.io/name", "", true),
            ("app", "A_b.c-1", true),
            ("app", "a b", false),
            ("app", "-a", false),
            ("app", &"a".repeat(64), false),
            ("a/b/c", "x", false),
            ("App.Example.org/name", "x", false),
            ("app", "https://x", false),
        ] {
            assert_eq!(fault("metadata.labels", key, value).is_none(), is_valid, "{key}={value}");
        }
    }
}
