//! Every YAML block of a page can be read, and one that is a whole file is a valid one.

use std::path::Path;

use bootstrapper::pipeline::{Config, Tasks};
use bootstrapper::yaml;
use serde_json::Value;

use super::page::{Block, pages};

/// What is wrong with a block; `None` if nothing is, with whether it is a file of this program.
fn objection(block: &Block) -> (bool, Option<String>) {
    let documents = match yaml::from_multiple(&block.text, Path::new("block.yaml")) {
        Ok(documents) => documents,
        Err(failure) => return (false, Some(format!("{}: {:?}", failure.what, failure.because))),
    };
    let has = |key: &str| documents.iter().any(|document: &Value| document.get(key).is_some());
    let name = block.name.as_deref().unwrap_or_default();
    let folder = tempfile::tempdir().unwrap();
    let failure = if has("clusters") {
        std::fs::write(folder.path().join("bootstrapper.yaml"), &block.text).unwrap();
        Config::load(folder.path()).err()
    } else if documents.iter().any(|document| document["stages"][0]["steps"].is_array()) {
        let tasks = folder.path().join("tasks");
        std::fs::create_dir(&tasks).unwrap();
        std::fs::write(tasks.join("bootstrap.yaml"), &block.text).unwrap();
        Tasks::of_repository(folder.path()).err()
    } else {
        let is_ours = name.ends_with("bootstrapper.yaml") || name.starts_with("tasks/");
        return (false, is_ours.then(|| format!("{name} has neither clusters nor stages")));
    };
    (true, failure.map(|failure| format!("{}: {:?}", failure.what, failure.because)))
}

#[test]
fn every_yaml_block_is_valid() {
    let (mut ours, mut wrong) = (0, Vec::new());
    for page in pages() {
        for block in page.blocks().iter().filter(|block| block.language == "yaml") {
            let (is_ours, objection) = objection(block);
            ours += usize::from(is_ours);
            let place = format!("{}:{}", page.path.display(), block.line);
            wrong.extend(objection.map(|objection| format!("{place}: {objection}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(ours > 5, "the pages show files of this program: {ours}");
}
