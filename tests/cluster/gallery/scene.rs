//! A scene of the gallery, as its file tells it.

use std::path::{Path, PathBuf};

use bootstrapper::object::ObjectRef;
use bootstrapper::yaml;
use serde::Deserialize;

use crate::common::root;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Scene {
    /// What goes wrong, or goes well, as a person says it.
    pub(crate) what: String,
    /// What is written as real components would write it, since it cannot be had here; none if all is
    /// what real components do.
    #[serde(default)]
    pub(crate) told: Option<String>,
    /// The code of the failure; none if nothing is wrong.
    #[serde(default)]
    pub(crate) code: Option<String>,
    /// The first line; `*` stands for anything. For what is slow: a line that must be said at some time.
    #[serde(default)]
    pub(crate) says: Option<String>,
    /// Why whoever waits for these objects is told that they are ready, all the same.
    #[serde(default)]
    pub(crate) called_ready: Option<String>,
    /// `Kind/name` of objects of the scene that are waited for; else the whole namespace.
    #[serde(default)]
    pub(crate) about: Vec<String>,
    /// Objects that are there before, outside of the scene.
    #[serde(default)]
    pub(crate) about_others: Vec<ObjectRef>,
    /// Objects, in the order in which they are applied. `$NS` is the scene's namespace.
    #[serde(default)]
    pub(crate) objects: String,
    /// What is done after that.
    #[serde(default)]
    pub(crate) then: Vec<Deed>,
    /// It breaks something for all: it comes after the others.
    #[serde(default)]
    pub(crate) alone: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Deed {
    Delete(ObjectRef),
    Patch {
        object: ObjectRef,
        with: serde_json::Value,
    },
    Apply(String),
    /// Until the API server would refuse an object: what decides on it is in effect a moment after it was made.
    Refused(String),
    /// Until an object is ready.
    Await(ObjectRef),
}

/// The scenes of a folder, by name: all, or those that are asked for.
pub(crate) fn of(folder: &str) -> Vec<(String, Scene)> {
    let wanted = std::env::var("SCENE").unwrap_or_default();
    let folder = root().join("tests/gallery").join(folder);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let name = |file: &Path| file.file_stem().unwrap().to_str().unwrap().to_owned();
    files
        .into_iter()
        .filter(|file| name(file).contains(&wanted))
        .map(|file| {
            let text = std::fs::read_to_string(&file).unwrap();
            (name(&file), yaml::from_str(&text, &file).unwrap_or_else(|error| panic!("{error:?}")))
        })
        .collect()
}

/// `*` stands for anything.
pub(crate) fn is_like(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}
