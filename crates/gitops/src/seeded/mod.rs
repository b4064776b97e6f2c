//! The Secrets that the bootstrap seeds: those that `bootstrapper.yaml` lists by value, and those in the files
//! that it references. Reads only files of the repository.

mod manifest;
mod template;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::pipeline::{Config, OnePasswordSource, SecretSource, SecretSpec, SopsPath, ValuesSpec};
use bootstrapper_core::failure::{Failure, Location, Result};
use bootstrapper_core::files::{self, Refusal};
use bootstrapper_core::yaml::{Marked, marked_documents};

/// The file that declares secrets.
const CONFIG: &str = "bootstrapper.yaml";

/// A Secret that the bootstrap seeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeededSecret {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its type; none for `Opaque`.
    pub type_: Option<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Whether it is immutable.
    pub immutable: bool,
    /// Its keys, and the origins of their values.
    pub values: BTreeMap<String, SeededValue>,
}

/// A value of a Secret that the bootstrap seeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeededValue {
    /// Its origin.
    pub from: ValueFrom,
    /// Whether that is base64, because it is under `data`.
    pub is_encoded: bool,
    /// Its location.
    pub location: Option<Location>,
}

/// The origin of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueFrom {
    /// A source.
    Source(SecretSource),
    /// A value in a manifest encrypted by SOPS.
    Sops {
        /// The file, relative to the repository.
        file: PathBuf,
        /// The index of the document, from 0.
        document: usize,
        /// The path of the value.
        path: SopsPath,
    },
    /// Concatenated texts and 1Password references.
    Pieces(Vec<Piece>),
}

/// A piece of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A literal text.
    Text(String),
    /// A 1Password reference.
    Op(OnePasswordSource),
}

impl ValueFrom {
    /// Whether sops is needed to read it: it is read after the others, which may provide the keys.
    pub fn needs_sops(&self) -> bool {
        match self {
            Self::Source(source) => source.needs_sops(),
            Self::Sops { .. } => true,
            Self::Pieces(_) => false,
        }
    }
}

/// The Secrets that the bootstrap seeds into a cluster, in declaration order.
pub fn seeded_secrets(root: &Path, config: &Config, cluster: &str) -> Result<Vec<SeededSecret>> {
    let specs = config.secrets_of(cluster);
    let written = if specs.is_empty() { None } else { std::fs::read_to_string(root.join(CONFIG)).ok() };
    let marks =
        written.map(|text| marked_documents(&text)).and_then(|documents| documents.into_iter().next());
    let mut all = Vec::new();
    for (at, spec) in specs.iter().enumerate() {
        let place = |field: &str| {
            place(
                marks.as_ref(),
                Path::new(CONFIG),
                &format!("clusters[\"{cluster}\"].secrets[{at}].{field}"),
            )
        };
        match spec {
            SecretSpec::Values(spec) => {
                all.push(value_by_value(spec, |key| place(&format!("data[\"{key}\"]"))));
            }
            SecretSpec::Manifest(spec) => {
                let text = text_of(root, &spec.file, place("file"))?;
                all.extend(manifest::encrypted(&text, &spec.file, spec.namespace.as_deref())?);
            }
            SecretSpec::Template(spec) => {
                let text = text_of(root, &spec.file, place("template"))?;
                all.extend(manifest::template(&text, spec)?);
            }
        }
    }
    Ok(all)
}

fn value_by_value(spec: &ValuesSpec, place: impl Fn(&str) -> Option<Location>) -> SeededSecret {
    let value = |(key, source): (&String, &SecretSource)| {
        let from = ValueFrom::Source(source.clone());
        (key.clone(), SeededValue { from, is_encoded: false, location: place(key) })
    };
    SeededSecret {
        namespace: spec.namespace.clone(),
        name: spec.name.clone(),
        type_: spec.type_.clone(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        immutable: false,
        values: spec.data.iter().map(value).collect(),
    }
}

fn text_of(root: &Path, file: &Path, named_at: Option<Location>) -> Result<String> {
    files::read_text(root, file).map_err(|refusal| {
        let failure = Failure::input(format!("{} cannot be read", file.display()));
        let failure = match refusal {
            Refusal::Missing => {
                failure.because("not found").hint("paths count from the root of the repository")
            }
            other => failure.because(other),
        };
        match named_at {
            Some(location) => failure.at(location),
            None => failure,
        }
    })
}

fn place(marks: Option<&Marked>, file: &Path, field: &str) -> Option<Location> {
    let (line, column) = marks?.place(field);
    Some(Location { file: file.to_owned(), line, column })
}
