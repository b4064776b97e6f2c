//! The CRDs in a module, by kind.

use std::path::Path;

use serde_json::Value;

use super::chart::{Files, of_folder};
use bootstrapper_core::failure::Result;
use bootstrapper_core::yaml;

/// The CRDs among all manifests of a folder that define one of `kinds`, one file each.
pub(super) fn of_kinds(folder: &Path, kinds: &[impl AsRef<str>]) -> Result<Files> {
    let mut found = Files::new();
    for (path, bytes) in of_folder(folder)? {
        // Bundles are large: only documents that may contain a kind are parsed.
        let text = String::from_utf8_lossy(&bytes);
        for document in text.split("\n---") {
            let is_wanted = |kind: &str| kinds.iter().any(|one| one.as_ref() == kind);
            let mut named = document.lines().filter_map(|line| line.trim_start().strip_prefix("kind: "));
            if !named.any(is_wanted) {
                continue;
            }
            let crd: Value = yaml::from_str(document, &path)?;
            let kind = crd["spec"]["names"]["kind"].as_str().unwrap_or_default();
            if crd["kind"] == "CustomResourceDefinition" && is_wanted(kind) {
                found.insert(format!("{kind}.yaml").into(), crd.to_string().into_bytes());
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_bundle_is_parsed() {
        let folder = tempfile::tempdir().unwrap();
        let crd = |kind: &str| format!("kind: CustomResourceDefinition\nspec:\n  names:\n    kind: {kind}\n");
        let bundle = format!("---\n{}---\n{}", crd("Wanted"), crd("Other"));
        std::fs::write(folder.path().join("bundle.yaml"), bundle).unwrap();
        let found = of_kinds(folder.path(), &["Wanted"]).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), [Path::new("Wanted.yaml")]);
    }
}
