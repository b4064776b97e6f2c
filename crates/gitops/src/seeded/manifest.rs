//! A file of whole Secrets: encrypted by SOPS, or a template.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::template::{Mistake, Template};
use super::{Piece, SeededSecret, SeededValue, ValueFrom, place};
use crate::pipeline::{SopsPath, TemplateSpec};
use bootstrapper_core::failure::{Failure, Location, Result};
use bootstrapper_core::yaml::{self, Marked, marked_documents};

/// The Secrets in a file encrypted by SOPS.
pub(super) fn encrypted(text: &str, file: &Path, namespace: Option<&str>) -> Result<Vec<SeededSecret>> {
    secrets(text, file, namespace, |document, field, key, value| {
        if !document["sops"]["mac"].is_string() {
            return Err(Failure::input(format!("{} is not encrypted", file.display()))
                .because("a `file` of secrets is one that SOPS encrypted")
                .hint("encrypt it: `sops encrypt --in-place --encrypted-regex '^(data|stringData)$' …`"));
        }
        if !value.starts_with("ENC[") {
            return Ok(ValueFrom::Pieces(vec![Piece::Text(value.to_owned())]));
        }
        let path = SopsPath::of_keys(&[field, key]);
        Ok(ValueFrom::Sops { file: file.to_owned(), document: 0, path })
    })
}

/// The Secrets in a template.
pub(super) fn template(text: &str, spec: &TemplateSpec) -> Result<Vec<SeededSecret>> {
    let file = &spec.file;
    let template = Template::read(text, &spec.sign_in).map_err(|Mistake { line, column, what, hint }| {
        let location = Location { file: file.clone(), line, column };
        Failure::input(format!("invalid template {}: {what}", file.display())).hint(hint).at(location)
    })?;
    secrets(&template.text, file, spec.namespace.as_deref(), |_, _, _, value| {
        let pieces = template.pieces(value);
        let is_left = |piece: &Piece| matches!(piece, Piece::Text(text) if text.contains("op://"));
        if pieces.iter().any(is_left) && !pieces.iter().any(|piece| matches!(piece, Piece::Op(_))) {
            return Err(Failure::input("a reference would not be replaced")
                .because("it is in a line that begins with `#`")
                .hint("keep comments out of values that hold references"));
        }
        Ok(ValueFrom::Pieces(pieces))
    })
}

/// Every Secret in a stream of documents. Namespaces are left to their own step.
fn secrets(
    text: &str,
    file: &Path,
    namespace: Option<&str>,
    from: impl Fn(&Value, &str, &str, &str) -> Result<ValueFrom>,
) -> Result<Vec<SeededSecret>> {
    let documents: Vec<Value> = yaml::from_multiple(text, file)?;
    let marks = marked_documents(text);
    let mut all = Vec::new();
    for (at, document) in documents.iter().enumerate() {
        let kind = document["kind"].as_str().unwrap_or_default();
        if document.is_null() || kind == "Namespace" {
            continue;
        }
        let read = Reading { file, marks: marks.get(at), document, at };
        if kind != "Secret" || document["apiVersion"] != "v1" {
            let what = if kind.is_empty() { "a document without a kind" } else { kind };
            return Err(read
                .refuse(
                    "kind",
                    format!("{} holds {what}, and only Secrets are seeded from it", file.display()),
                )
                .hint("apply other objects with a step `objects: <file>`"));
        }
        all.push(read.secret(namespace, &from)?);
    }
    if all.is_empty() {
        return Err(Failure::input(format!("{} holds no Secret", file.display())));
    }
    Ok(all)
}

/// One document of a file.
struct Reading<'a> {
    file: &'a Path,
    marks: Option<&'a Marked>,
    document: &'a Value,
    at: usize,
}

impl Reading<'_> {
    fn place(&self, field: &str) -> Option<Location> {
        place(self.marks, self.file, field)
    }

    fn refuse(&self, field: &str, what: impl Into<String>) -> Failure {
        let failure = Failure::input(what);
        match self.place(field) {
            Some(location) => failure.at(location),
            None => failure,
        }
    }

    fn secret(
        &self,
        namespace: Option<&str>,
        from: impl Fn(&Value, &str, &str, &str) -> Result<ValueFrom>,
    ) -> Result<SeededSecret> {
        let name = self.open_text("metadata.name", &self.document["metadata"]["name"])?;
        let name = name.ok_or_else(|| self.refuse("metadata", "a Secret has no name"))?;
        let own = self.open_text("metadata.namespace", &self.document["metadata"]["namespace"])?;
        let namespace = own.or(namespace.map(str::to_owned)).ok_or_else(|| {
            self.refuse("metadata.name", format!("Secret {name} has no namespace"))
                .hint("give it one, or name it in bootstrapper.yaml beside the file: `namespace: …`")
        })?;
        let mut values = BTreeMap::new();
        for (field, is_encoded) in [("data", true), ("stringData", false)] {
            for (key, value) in self.document[field].as_object().into_iter().flatten() {
                let at = format!("{field}[\"{key}\"]");
                let text = value.as_str().ok_or_else(|| {
                    self.refuse(&at, format!("{key} of Secret {namespace}/{name} is not a text"))
                        .hint("quote it: Kubernetes takes texts only")
                })?;
                let from =
                    from(self.document, field, key, text).map_err(|failure| match self.place(&at) {
                        Some(location) => failure.at(location),
                        None => failure,
                    })?;
                let from = match from {
                    ValueFrom::Sops { file, path, .. } => ValueFrom::Sops { file, document: self.at, path },
                    other => other,
                };
                let location = self.place(&at);
                values.insert(key.clone(), SeededValue { from, is_encoded, location });
            }
        }
        Ok(SeededSecret {
            namespace,
            name,
            type_: self.open_text("type", &self.document["type"])?,
            labels: self.open_texts("labels")?,
            annotations: self.open_texts("annotations")?,
            immutable: self.document["immutable"] == true,
            values,
        })
    }

    /// A text that is known without decryption or 1Password.
    fn open_text(&self, field: &str, value: &Value) -> Result<Option<String>> {
        match value.as_str() {
            Some(text) if text.starts_with("ENC[") => {
                Err(self.refuse(field, format!("{field} of a Secret is encrypted")).hint(
                    "encrypt values only: `sops encrypt --in-place --encrypted-regex '^(data|stringData)$' …`",
                ))
            }
            Some(text) if Template::is_filled(text) => {
                Err(self.refuse(field, format!("{field} of a Secret holds a reference"))
                    .hint("references may stand in `data` and `stringData`"))
            }
            text => Ok(text.map(str::to_owned)),
        }
    }

    fn open_texts(&self, of: &str) -> Result<BTreeMap<String, String>> {
        let all = self.document["metadata"][of].as_object().into_iter().flatten();
        let mut texts = BTreeMap::new();
        for (key, value) in all {
            let text = self.open_text(&format!("metadata.{of}[\"{key}\"]"), value)?;
            texts.extend(text.map(|text| (key.clone(), text)));
        }
        Ok(texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::{OnePasswordSource, SignInSpec};

    const ENCRYPTED: &str = "apiVersion: v1
kind: Namespace
metadata: {name: flux-system}
---
apiVersion: v1
kind: Secret
metadata:
    name: sops-age
    namespace: flux-system
    labels: {a: b}
type: Opaque
immutable: true
stringData:
    age.agekey: ENC[AES256_GCM,data:x,type:str]
data:
    open: aGk=
sops: {mac: 'ENC[x]', age: [{recipient: age1x}]}
---
apiVersion: v1
kind: Secret
metadata: {name: other}
stringData: {token: 'ENC[y]'}
sops: {mac: 'ENC[x]'}
";

    #[test]
    fn every_secret_of_an_encrypted_file_is_known_by_its_keys() {
        let all = encrypted(ENCRYPTED, Path::new("s.sops.yaml"), Some("default")).unwrap();
        let [one, other] = all.as_slice() else { panic!("{all:?}") };
        assert_eq!((one.namespace.as_str(), one.name.as_str()), ("flux-system", "sops-age"));
        assert_eq!((one.labels["a"].as_str(), one.immutable), ("b", true));
        let key = &one.values["age.agekey"];
        let path = SopsPath::parse("stringData[\"age.agekey\"]").unwrap();
        assert_eq!(key.from, ValueFrom::Sops { file: "s.sops.yaml".into(), document: 1, path });
        assert_eq!((key.is_encoded, key.location.as_ref().unwrap().line), (false, 14));
        let open = &one.values["open"];
        assert_eq!(open.from, ValueFrom::Pieces(vec![Piece::Text("aGk=".into())]));
        assert!(open.is_encoded);
        assert_eq!((other.namespace.as_str(), other.name.as_str()), ("default", "other"));
    }

    fn template_of(text: &str) -> Result<Vec<SeededSecret>> {
        let sign_in = SignInSpec::Account("home".into());
        template(text, &TemplateSpec { file: "t.yaml".into(), namespace: None, sign_in })
    }

    #[test]
    fn a_template_is_read_before_its_values_are_put_in() {
        let text = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: ns}\nstringData:\n  plain: {{ op://v/i/f }}\n  url: \"https://op://v/i/user:{{ op://v/i/f }}@host\"\n  fixed: x\n";
        let all = template_of(text).unwrap();
        let sign_in = SignInSpec::Account("home".into());
        let op = |reference: &str| {
            Piece::Op(OnePasswordSource { reference: reference.into(), sign_in: sign_in.clone() })
        };
        let text = |text: &str| Piece::Text(text.to_owned());
        let values = &all[0].values;
        assert_eq!(values["plain"].from, ValueFrom::Pieces(vec![op("op://v/i/f")]));
        assert_eq!(
            values["url"].from,
            ValueFrom::Pieces(vec![
                text("https://"),
                op("op://v/i/user"),
                text(":"),
                op("op://v/i/f"),
                text("@host")
            ])
        );
        assert_eq!(values["fixed"].from, ValueFrom::Pieces(vec![text("x")]));
        assert_eq!(values["url"].location.as_ref().unwrap().line, 6);
    }

    #[test]
    fn what_is_no_secret_is_refused_with_its_place() {
        let secret = |rest: &str| {
            format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s, namespace: ns}}\n{rest}")
        };
        for (text, line, what) in [
            (secret("stringData: {port: 80}\nsops: {mac: 'ENC[]'}\n"), 4, "not a text"),
            (secret("stringData: {a: b}\n"), 4, "not encrypted"),
            (secret("").replace("name: s", "name: 'ENC[x]'"), 3, "is encrypted"),
            (secret("").replace("namespace: ns", "x: y"), 3, "no namespace"),
            (secret("").replace("kind: Secret", "kind: ConfigMap"), 2, "only Secrets"),
        ] {
            let failure = encrypted(&text, Path::new("s.yaml"), None).unwrap_err();
            assert!(format!("{failure:?}").contains(what), "{what} in {failure:?}");
            assert_eq!(failure.location.as_ref().map(|at| at.line), Some(line), "{failure:?}");
        }
        assert!(encrypted("", Path::new("s.yaml"), None).unwrap_err().what.contains("no Secret"));
        let named = secret("").replace("name: s", "name: '{{ op://v/i/f }}'");
        assert!(template_of(&named).unwrap_err().what.contains("holds a reference"));
        let commented = secret("stringData:\n  a: |\n    # op://v/i/f\n");
        assert!(template_of(&commented).unwrap_err().what.contains("not be replaced"));
    }
}
