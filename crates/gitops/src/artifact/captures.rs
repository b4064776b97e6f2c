//! `pathPattern` of an ArtifactGenerator: an artifact for each folder that it matches, with the captured parts
//! in its name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The captured parts, by name.
pub(super) type Captures = BTreeMap<String, String>;

/// The captures of each folder that the pattern matches: `apps/{app}/{stage}`.
pub(super) fn all(pattern: &str, files: &BTreeSet<PathBuf>) -> Vec<Captures> {
    let parts: Vec<&str> = pattern.split('/').collect();
    let folders: BTreeSet<&Path> = files
        .iter()
        .flat_map(|file| file.ancestors().skip(1))
        .filter(|folder| folder.iter().count() == parts.len())
        .collect();
    folders.into_iter().filter_map(|folder| captured(&parts, folder)).collect()
}

fn captured(parts: &[&str], folder: &Path) -> Option<Captures> {
    let mut captures = Captures::new();
    for (part, name) in parts.iter().zip(folder) {
        let name = name.to_string_lossy();
        let Some((before, rest)) = part.split_once('{') else {
            if *part != name {
                return None;
            }
            continue;
        };
        // Several captures in one name are ambiguous.
        let (capture, after) = rest.split_once('}').filter(|(_, after)| !after.contains('{'))?;
        let value = name.strip_prefix(before)?.strip_suffix(after)?;
        if value.is_empty() {
            return None;
        }
        captures.insert(capture.to_owned(), value.to_owned());
    }
    Some(captures)
}

/// Fills captures into a text; none if it refers to something else. Artifact names are lower case.
pub(super) fn filled(text: &str, captures: &Captures, lower: bool) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, behind) = after.split_once('}')?;
        let value = captures.get(name)?;
        out.push_str(before);
        out.push_str(&if lower { value.to_lowercase() } else { value.clone() });
        rest = behind;
    }
    out.push_str(rest);
    Some(out)
}

/// Whether a text with captures may produce this name.
pub(super) fn may_make(text: &str, name: &str) -> bool {
    let Some((before, rest)) = text.split_once('{') else { return text == name };
    let after = rest.rsplit_once('}').map_or("", |(_, after)| after);
    name.len() > before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_captured() {
        let files = ["apps/Web/prod/a.yaml", "apps/db/prod/a.yaml", "apps/db/a.yaml", "other/x/y/a.yaml"]
            .map(PathBuf::from)
            .into();
        let found = all("apps/{app}/{stage}", &files);
        let names: Vec<_> = found.iter().map(|one| filled("{app}-{stage}", one, true).unwrap()).collect();
        assert_eq!(names, ["web-prod", "db-prod"]);
        assert_eq!(filled("@repo/apps/{app}/**", &found[0], false).unwrap(), "@repo/apps/Web/**");
        assert_eq!(filled("{other}", &found[0], false), None);
        assert!(may_make("{app}-x", "web-x") && !may_make("{app}-x", "web-y") && may_make("a", "a"));
    }
}
