//! The layout of an artifact: applies the copies of an ArtifactGenerator one after the other, like
//! source-watcher.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::super::documents::normal;
use super::super::glob;

/// The maximum number of alternatives of `{a,b}` in a pattern.
const ALTERNATIVES: usize = 64;

/// One entry of `copy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Copy {
    pub(super) alias: String,
    /// The source: a file, a folder or a pattern.
    pub(super) from: String,
    pub(super) to: String,
    pub(super) exclude: Vec<String>,
    pub(super) strategy: Strategy,
}

/// What happens to a file that is already in the artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strategy {
    Overwrite,
    Merge,
    /// Archives are unpacked: their content is unknown here.
    Extract,
}

/// The files of an artifact, each with its source files: one, or several that are merged in this order.
pub(super) type Layout = BTreeMap<PathBuf, Vec<PathBuf>>;

/// Computes the layout of an artifact. Fails where source-watcher does.
pub(super) fn layout(copies: &[Copy], files: &BTreeSet<PathBuf>) -> Result<Layout, String> {
    let mut layout = Layout::new();
    for copy in copies {
        let found = copied(copy, files, &layout)?;
        for (to, from) in found {
            match layout.get_mut(&to) {
                Some(already) if copy.strategy == Strategy::Merge && !is_folder_copy(copy, files) => {
                    already.push(from);
                }
                _ => {
                    layout.insert(to, vec![from]);
                }
            }
        }
    }
    Ok(layout)
}

/// Files in a folder are never merged.
fn is_folder_copy(copy: &Copy, files: &BTreeSet<PathBuf>) -> bool {
    !has_pattern(&copy.from) && !files.contains(&normal(Path::new(&copy.from)))
}

/// The destination of each file of one copy.
fn copied(
    copy: &Copy,
    files: &BTreeSet<PathBuf>,
    so_far: &Layout,
) -> Result<Vec<(PathBuf, PathBuf)>, String> {
    let to = normal(Path::new(&copy.to));
    let from = normal(Path::new(&copy.from));
    if has_pattern(&copy.from) {
        return matched(copy, files, &to);
    }
    if files.contains(&from) {
        if is_excluded(copy, &from, Path::new("")) {
            return Ok(Vec::new());
        }
        let is_folder = so_far.keys().any(|file| file != &to && file.starts_with(&to));
        let into = copy.to.ends_with('/') || is_folder || to.as_os_str().is_empty();
        let name = from.file_name().map(PathBuf::from).unwrap_or_default();
        return Ok(vec![(if into { to.join(name) } else { to }, from)]);
    }
    let within: Vec<&PathBuf> = files.iter().filter(|file| file.starts_with(&from)).collect();
    if within.is_empty() {
        return Err(format!("`{}` does not exist in the source", copy.from));
    }
    // Like `cp -r`, copies the folder itself and not only its content.
    let to = from.file_name().map_or(to.clone(), |name| to.join(name));
    let kept = within.into_iter().filter(|file| !is_excluded_within(copy, file, &from));
    Ok(kept.map(|file| (to.join(file.strip_prefix(&from).unwrap_or(file)), file.clone())).collect())
}

/// The files that a pattern copies. Each of its parts matches one name, `**` too: matching folders are copied
/// with their content.
fn matched(copy: &Copy, files: &BTreeSet<PathBuf>, to: &Path) -> Result<Vec<(PathBuf, PathBuf)>, String> {
    let pattern: Vec<&str> = copy.from.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let stripped = copy.from.strip_suffix("/**");
    let root: PathBuf = pattern.iter().take_while(|part| !has_pattern(part)).collect();
    let mut found = Vec::new();
    let mut any = false;
    for file in files {
        let names: Vec<String> = file.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        let fits = names.len() >= pattern.len()
            && pattern.iter().zip(&names).all(|(part, name)| glob::matches(part, name));
        if !fits {
            continue;
        }
        any = true;
        let entry: PathBuf = names.iter().take(pattern.len()).collect();
        if is_excluded(copy, &entry, &root) || is_excluded_within(copy, file, &root) {
            continue;
        }
        let kept = stripped.and_then(|prefix| file.strip_prefix(prefix).ok()).unwrap_or(file);
        found.push((to.join(kept), file.clone()));
    }
    if any { Ok(found) } else { Err(format!("nothing in the source matches `{}`", copy.from)) }
}

fn has_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', ']'])
}

/// Whether a file is excluded, or one of its folders below `base`.
fn is_excluded_within(copy: &Copy, file: &Path, base: &Path) -> bool {
    let below = |part: &&Path| part.starts_with(base) && *part != base;
    file.ancestors().take_while(below).any(|part| is_excluded(copy, part, base))
}

fn is_excluded(copy: &Copy, path: &Path, base: &Path) -> bool {
    let relative = path.strip_prefix(base).ok().filter(|relative| !relative.as_os_str().is_empty());
    let name = path.file_name().map(PathBuf::from).unwrap_or_default();
    copy.exclude.iter().any(|pattern| {
        matches_path(pattern, path)
            || relative.is_some_and(|relative| matches_path(pattern, relative))
            || (!pattern.contains('/') && matches_path(pattern, &name))
    })
}

/// Whether a pattern with `**` and `{a,b}` matches a whole path.
fn matches_path(pattern: &str, path: &Path) -> bool {
    let names: Vec<String> = path.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    alternatives(pattern).iter().any(|pattern| {
        let parts: Vec<&str> = pattern.split('/').collect();
        matches_parts(&parts, &names)
    })
}

/// Tracks all positions in the pattern at once, so that many `**` cost no more than one.
fn matches_parts(parts: &[&str], names: &[String]) -> bool {
    let mut states = vec![false; parts.len() + 1];
    states[0] = true;
    let skip = |states: &mut Vec<bool>| {
        for (at, part) in parts.iter().enumerate() {
            if states[at] && *part == "**" {
                states[at + 1] = true;
            }
        }
    };
    skip(&mut states);
    for name in names {
        let mut next = vec![false; parts.len() + 1];
        for (at, part) in parts.iter().enumerate().filter(|(at, _)| states[*at]) {
            if *part == "**" {
                next[at] = true;
            } else if glob::matches(part, name) {
                next[at + 1] = true;
            }
        }
        skip(&mut next);
        states = next;
    }
    states[parts.len()]
}

/// Expands `{a,b}`, without nesting.
fn alternatives(pattern: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((inside, behind)) = after.split_once('}') else { break };
        let options: Vec<&str> = inside.split(',').collect();
        if all.len().saturating_mul(options.len()) > ALTERNATIVES {
            break;
        }
        all = all
            .iter()
            .flat_map(|one| options.iter().map(move |option| format!("{one}{before}{option}")))
            .collect();
        rest = behind;
    }
    all.into_iter().map(|one| one + rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(from: &str, to: &str) -> Copy {
        Copy {
            alias: "repo".into(),
            from: from.into(),
            to: to.into(),
            exclude: Vec::new(),
            strategy: Strategy::Overwrite,
        }
    }

    fn files() -> BTreeSet<PathBuf> {
        ["a.yaml", "apps/base/b.yaml", "apps/base/deep/c.yaml", "apps/top.yaml", "apps/README.md"]
            .map(PathBuf::from)
            .into()
    }

    fn laid_out(copies: &[Copy]) -> Vec<String> {
        layout(copies, &files()).unwrap().keys().map(|file| file.display().to_string()).collect()
    }

    #[test]
    fn files_folders_and_patterns_are_copied_as_cp_does() {
        let table: [(&str, &str, &[&str]); 12] = [
            (
                "**",
                "",
                &["a.yaml", "apps/README.md", "apps/base/b.yaml", "apps/base/deep/c.yaml", "apps/top.yaml"],
            ),
            ("apps/**", "", &["README.md", "base/b.yaml", "base/deep/c.yaml", "top.yaml"]),
            ("apps/base/**", "x/", &["x/b.yaml", "x/deep/c.yaml"]),
            ("apps/base", "", &["base/b.yaml", "base/deep/c.yaml"]),
            ("apps/base/", "apps/base/", &["apps/base/base/b.yaml", "apps/base/base/deep/c.yaml"]),
            ("apps/*.yaml", "", &["apps/top.yaml"]),
            (
                "apps/*",
                "x",
                &["x/apps/README.md", "x/apps/base/b.yaml", "x/apps/base/deep/c.yaml", "x/apps/top.yaml"],
            ),
            ("apps/**/*.yaml", "", &["apps/base/b.yaml"]),
            ("a.yaml", "", &["a.yaml"]),
            ("a.yaml", "x/", &["x/a.yaml"]),
            ("a.yaml", "x/b.yaml", &["x/b.yaml"]),
            ("./a.yaml", "b.yaml", &["b.yaml"]),
        ];
        for (from, to, expected) in table {
            assert_eq!(laid_out(&[copy(from, to)]), expected, "{from} {to}");
        }
    }

    #[test]
    fn what_is_not_there_is_refused() {
        assert!(layout(&[copy("none", "")], &files()).is_err());
        assert!(layout(&[copy("none/**", "")], &files()).is_err());
    }

    #[test]
    fn what_is_excluded_is_left_out() {
        for (exclude, expected) in [
            ("*.md", &["base/b.yaml", "base/deep/c.yaml", "top.yaml"][..]),
            ("apps/base/**", &["README.md", "top.yaml"]),
            ("base/deep/**", &["README.md", "base/b.yaml", "top.yaml"]),
            ("**/{b,c}.yaml", &["README.md", "top.yaml"]),
            ("base", &["README.md", "top.yaml"]),
        ] {
            let one = Copy { exclude: vec![exclude.into()], ..copy("apps/**", "") };
            assert_eq!(laid_out(&[one]), expected, "{exclude}");
        }
    }

    #[test]
    fn later_copies_overwrite_or_merge() {
        let over = [copy("a.yaml", "v.yaml"), copy("apps/top.yaml", "v.yaml")];
        let laid = |copies: &[Copy]| layout(copies, &files()).unwrap()[Path::new("v.yaml")].len();
        assert_eq!(laid(&over), 1);
        let [first, second] = over;
        assert_eq!(laid(&[first, Copy { strategy: Strategy::Merge, ..second }]), 2);
    }
}
