//! Which fields of an object depend on a secret: compares the object with what it would be if every secret had
//! another value. URLs in the repository must not depend on one.

use std::collections::BTreeSet;

use serde_json::Value;

use super::documents::{Document, Encrypted, object};
use super::substitute::substitute_all;
use super::variables::Variables;
use bootstrapper_core::object::{Object, ObjectRef};

/// Placeholder values of secrets without any common character or length.
const OTHERS: [&str; 2] = ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "zzzzzzzzzzzzzzzzz"];

/// The fields of Flux objects with a URL to download from.
const OF_SOURCE: [&str; 9] = [
    "spec.url",
    "spec.endpoint",
    "spec.bucketName",
    "spec.prefix",
    "spec.region",
    "spec.ref",
    "spec.chart",
    "spec.version",
    "spec.valuesFiles",
];
const OF_RELEASE: [&str; 3] =
    ["spec.chart.spec.chart", "spec.chart.spec.version", "spec.chart.spec.valuesFiles"];

/// An object with other secret values.
#[derive(Debug)]
pub(super) enum Shadows {
    /// It depends on no secret.
    None,
    /// The object with each set of placeholders.
    Objects(Vec<Object>),
    /// Unknown.
    Unknown,
}

impl Shadows {
    /// Those of a document in which variables are substituted.
    pub(super) fn of(document: &Document, variables: Option<&Variables>, used: &BTreeSet<String>) -> Self {
        let secret = variables.filter(|variables| used.iter().any(|name| variables.is_secret(name)));
        let mut shadows = Vec::new();
        if let Some(variables) = secret {
            for other in OTHERS {
                let value =
                    |name: &str| if variables.is_secret(name) { Some(other) } else { variables.value(name) };
                match object(&substitute_all(&document.text, value).text) {
                    Ok(shadow) => shadows.push(shadow),
                    Err(_) => return Self::Unknown,
                }
            }
        }
        match &document.encrypted {
            None => {}
            Some(Encrypted::Unknown) => return Self::Unknown,
            Some(Encrypted::Known(encrypted)) => {
                let text = match variables {
                    Some(all) => substitute_all(&encrypted.text, |name| all.value(name)).text,
                    None => encrypted.text.clone(),
                };
                match object(&text) {
                    Ok(shadow) => shadows.push(shadow),
                    Err(_) => return Self::Unknown,
                }
            }
        }
        if shadows.is_empty() { Self::None } else { Self::Objects(shadows) }
    }

    /// Those of each of the `count` objects that `make` creates from an object.
    pub(super) fn made(&self, count: usize, make: impl Fn(&Object) -> Vec<Object>) -> Vec<Self> {
        let Self::Objects(all) = self else {
            return (0..count)
                .map(|_| if matches!(self, Self::None) { Self::None } else { Self::Unknown })
                .collect();
        };
        let made: Vec<Vec<Object>> = all.iter().map(make).collect();
        if made.iter().any(|objects| objects.len() != count) {
            return (0..count).map(|_| Self::Unknown).collect();
        }
        let of =
            |at: usize| Self::Objects(made.iter().filter_map(|objects| objects.get(at).cloned()).collect());
        (0..count).map(of).collect()
    }

    /// Whether a field depends on a secret; `field` selects it in an object.
    pub(super) fn differ<'a, T: PartialEq + 'a>(
        &'a self,
        object: &'a Object,
        field: impl Fn(&'a Object) -> T,
    ) -> bool {
        match self {
            Self::None => false,
            Self::Unknown => true,
            Self::Objects(shadows) => shadows.iter().any(|shadow| field(shadow) != field(object)),
        }
    }

    /// The first URL field that depends on a secret.
    pub(super) fn address(&self, object: &Object) -> Option<&'static str> {
        let id = ObjectRef::of(object);
        let fields: &[&'static str] = match (id.group(), id.kind.as_str()) {
            ("source.toolkit.fluxcd.io", _) => &OF_SOURCE,
            ("helm.toolkit.fluxcd.io", "HelmRelease") => &OF_RELEASE,
            _ => return None,
        };
        fields
            .iter()
            .copied()
            .find(|field| !at(object, field).is_null() && self.differ(object, |object| at(object, field)))
    }

    /// The keys in a map whose values depend on a secret.
    pub(super) fn keys(&self, object: &Object, map: &str) -> BTreeSet<String> {
        let own = at(object, map).as_object().into_iter().flatten();
        let is_secret = |key: &&String| self.differ(object, |object| &at(object, map)[key.as_str()]);
        own.map(|(key, _)| key).filter(is_secret).cloned().collect()
    }
}

fn at<'a>(object: &'a Object, path: &str) -> &'a Value {
    path.split('.').fold(&object.data, |value, key| &value[key])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str, secrets: &[&str]) -> Option<&'static str> {
        let text = format!(
            "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata: {{name: r}}\nspec:\n  url: \"{url}\"\n"
        );
        let document = Document::of(&text);
        let all = ["SECRET", "EMPTY", "OPEN"].map(|name| {
            (name.to_owned(), if name == "EMPTY" { String::new() } else { "a-value".to_owned() })
        });
        let mut variables = Variables::of(all);
        variables.hide(secrets.iter().map(|name| (*name).to_owned()));
        let outcome = substitute_all(&text, |name| variables.value(name));
        let substituted = object(&outcome.text).unwrap();
        Shadows::of(&document, Some(&variables), &outcome.used).address(&substituted)
    }

    #[test]
    fn whatever_depends_on_a_secret_is_seen() {
        for url in [
            "https://x.test/${SECRET}",
            "https://x.test/${SECRET:0:1}",
            "https://x.test/${#SECRET}",
            "https://x.test/${SECRET//a/b}",
            "https://x.test/${EMPTY:=nothing}",
            "https://${OPEN}.test/${SECRET^^}",
            "https://x.test/${MISSING:-${SECRET}}",
        ] {
            assert_eq!(address(url, &["SECRET", "EMPTY"]), Some("spec.url"), "{url}");
        }
        for url in ["https://x.test", "https://x.test/${OPEN}", "https://x.test/${OPEN:=${SECRET}}"] {
            assert_eq!(address(url, &["SECRET", "EMPTY"]), None, "{url}");
        }
    }
}
