//! Files that Flux excludes from a source: `.sourceignore` in its folders, `spec.ignore` of the source, and the
//! defaults (`fluxcd/pkg/sourceignore` v0.18).

use std::path::{Path, PathBuf};

use serde_json::Value;
use walkdir::WalkDir;

use super::glob;
use bootstrapper_core::files;
use bootstrapper_core::yaml;

/// The file with exclusion patterns.
const FILE: &str = ".sourceignore";

/// Excluded from every source except a Bucket.
const VCS: [&str; 4] = [".git/", ".gitignore", ".gitmodules", ".gitattributes"];

/// Excluded by default, limited to what may be mistaken for a manifest.
const DEFAULT: [&str; 12] = [
    ".github/",
    ".circleci/",
    ".travis.yml",
    ".gitlab-ci.yml",
    "appveyor.yml",
    ".drone.yml",
    "cloudbuild.yaml",
    "codeship-services.yml",
    "codeship-steps.yml",
    "**/.goreleaser.yml",
    "**/.sops.yaml",
    "**/.flux.yaml",
];

/// Limits for the number of files and folders, and of patterns.
const ENTRIES: usize = 100_000;
const PATTERNS: usize = 10_000;

/// One line of such a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Pattern {
    /// The folder of the file.
    domain: Vec<String>,
    parts: Vec<String>,
    includes: bool,
    folders_only: bool,
    /// Whether it matches a path, and not a name at any depth.
    is_path: bool,
}

/// The exclusions of a source.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Ignore {
    /// The folder of the repository that is in the source.
    base: PathBuf,
    /// The last matching pattern applies.
    patterns: Vec<Pattern>,
    /// Whether files without objects are excluded: the repository does not show what an artifact contains.
    objects_only: bool,
}

impl Ignore {
    /// The patterns in `.sourceignore` files of a folder of the repository.
    pub(super) fn of_files(root: &Path, base: &Path) -> Self {
        let mut found: Vec<PathBuf> = WalkDir::new(root.join(base))
            .into_iter()
            .filter_entry(|entry| entry.file_name() != ".git")
            .filter_map(Result::ok)
            .take(ENTRIES)
            .filter(|entry| entry.file_name() == FILE && entry.file_type().is_file())
            .filter_map(|entry| Some(entry.path().strip_prefix(root).ok()?.to_owned()))
            .collect();
        // A folder's patterns have lower precedence than those of its subfolders.
        found.sort_by_key(|file| file.parent().map(Path::to_owned));
        let mut patterns = Vec::new();
        for file in found {
            let Ok(text) = files::read_text(root, &file) else { continue };
            let domain = file.parent().and_then(|folder| folder.strip_prefix(base).ok());
            patterns.extend(read(&text, &names(domain.unwrap_or(Path::new("")))));
        }
        patterns.truncate(PATTERNS);
        Self { base: base.to_owned(), patterns, objects_only: false }
    }

    /// The same for an artifact: it may lack files without objects.
    #[must_use]
    pub(super) fn of_artifact(self) -> Self {
        Self { objects_only: true, ..self }
    }

    /// Whether a text in a folder without a kustomization is excluded.
    pub(super) fn excludes_text(&self, text: &str) -> bool {
        let is_object = |document: &Value| document["kind"].is_string() && document["apiVersion"].is_string();
        let documents = || yaml::from_multiple::<Value>(text, Path::new("it"));
        self.objects_only && documents().is_ok_and(|all| !all.iter().any(is_object))
    }

    /// The same with `spec.ignore` of a source, and the defaults.
    #[must_use]
    pub(super) fn of_source(&self, ignore: Option<&str>) -> Self {
        let mut own = self.patterns.clone();
        own.extend(read(ignore.unwrap_or_default(), &[]));
        own.truncate(PATTERNS);
        let mut patterns: Vec<Pattern> = VCS.iter().map(|text| pattern(text, &[])).collect();
        if own.is_empty() {
            patterns.extend(DEFAULT.iter().map(|text| pattern(text, &[])));
        }
        patterns.extend(own);
        Self { base: self.base.clone(), patterns, objects_only: self.objects_only }
    }

    /// Whether a file of the repository is excluded.
    pub(super) fn excludes(&self, file: &Path) -> bool {
        let Ok(within) = file.strip_prefix(&self.base) else { return false };
        let names = names(within);
        let matching = self.patterns.iter().rev().find(|pattern| pattern.matches(&names));
        matching.is_some_and(|pattern| !pattern.includes)
    }
}

fn names(path: &Path) -> Vec<String> {
    path.iter().map(|part| part.to_string_lossy().into_owned()).collect()
}

fn read(text: &str, domain: &[String]) -> Vec<Pattern> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines.map(|line| pattern(line, domain)).collect()
}

fn pattern(line: &str, domain: &[String]) -> Pattern {
    let (includes, line) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest));
    let line = if line.ends_with("\\ ") { line } else { line.trim_end_matches(' ') };
    let (folders_only, line) = line.strip_suffix('/').map_or((false, line), |rest| (true, rest));
    Pattern {
        domain: domain.to_vec(),
        parts: line.split('/').map(str::to_owned).collect(),
        includes,
        folders_only,
        is_path: line.contains('/'),
    }
}

impl Pattern {
    /// Whether it matches a file: by its own name, or by one of its folders.
    fn matches(&self, file: &[String]) -> bool {
        let Some(file) = file.strip_prefix(self.domain.as_slice()).filter(|rest| !rest.is_empty()) else {
            return false;
        };
        if self.is_path { self.matches_path(file) } else { self.matches_name(file) }
    }

    fn matches_name(&self, file: &[String]) -> bool {
        let Some(pattern) = self.parts.first() else { return false };
        let Some(at) = file.iter().position(|name| glob::matches(pattern, name)) else { return false };
        !(self.folders_only && at + 1 == file.len())
    }

    /// Like Flux, which differs slightly from git.
    fn matches_path(&self, mut file: &[String]) -> bool {
        let (mut matched, mut may_skip) = (false, false);
        for (at, part) in self.parts.iter().enumerate() {
            if part.is_empty() {
                may_skip = false;
                continue;
            }
            if part == "**" {
                if at + 1 == self.parts.len() {
                    break;
                }
                may_skip = true;
                continue;
            }
            if part.contains("**") || file.is_empty() {
                return false;
            }
            if may_skip {
                may_skip = false;
                let found = file.iter().position(|name| glob::matches(part, name));
                matched = found.is_some();
                file = found.and_then(|at| file.get(at + 1..)).unwrap_or_default();
            } else {
                match file.split_first() {
                    Some((name, rest)) if glob::matches(part, name) => file = rest,
                    _ => return false,
                }
                matched = true;
            }
        }
        matched && !(self.folders_only && file.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_out(ignore: &str, files: &[&str]) -> Vec<String> {
        let ignore = Ignore::default().of_source((!ignore.is_empty()).then_some(ignore));
        files.iter().filter(|file| ignore.excludes(Path::new(file))).map(|file| (*file).to_owned()).collect()
    }

    #[test]
    fn patterns_leave_files_out_as_in_flux() {
        let files = [
            "a.yaml",
            "deploy/a.yaml",
            "deploy/docs/x.yaml",
            "docs/x.yaml",
            ".github/w/ci.yaml",
            ".sops.yaml",
            "charts/c/values.yaml",
        ];
        let table: [(&str, &[&str]); 7] = [
            ("", &[".github/w/ci.yaml", ".sops.yaml"]),
            ("docs/", &["deploy/docs/x.yaml", "docs/x.yaml"]),
            ("/docs/", &["docs/x.yaml"]),
            (
                "/*\n!/deploy",
                &["a.yaml", "docs/x.yaml", ".github/w/ci.yaml", ".sops.yaml", "charts/c/values.yaml"],
            ),
            ("**/docs/*.yaml", &["deploy/docs/x.yaml", "docs/x.yaml"]),
            ("# none\nvalues.yaml", &["charts/c/values.yaml"]),
            ("deploy/**", &["deploy/a.yaml", "deploy/docs/x.yaml"]),
        ];
        for (ignore, expected) in table {
            assert_eq!(left_out(ignore, &files), expected, "{ignore:?}");
        }
    }

    #[test]
    fn each_folder_may_have_its_own() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
        std::fs::write(folder.path().join(FILE), "*.txt\n").unwrap();
        std::fs::write(folder.path().join("a/.sourceignore"), "/b\n").unwrap();
        let ignore = Ignore::of_files(folder.path(), Path::new("")).of_source(None);
        for (file, left_out) in
            [("x.txt", true), ("a/b/x.yaml", true), ("b/x.yaml", false), ("a/x.yaml", false)]
        {
            assert_eq!(ignore.excludes(Path::new(file)), left_out, "{file}");
        }
        let within = Ignore::of_files(folder.path(), Path::new("a")).of_source(None);
        assert!(within.excludes(Path::new("a/b/x.yaml")) && !within.excludes(Path::new("a/x.txt")));
    }
}
