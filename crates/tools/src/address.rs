//! Parses URLs in a kustomization, in the dialects of kustomize (`internal/git/repospec.go` and
//! `internal/loader` of its api v0.21.1), before they are used. Rejects everything that Flux cannot fetch in
//! its Pod, and everything without TLS.

use bootstrapper_core::digest::is_hex;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use url::Url;

/// What to fetch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Remote {
    /// A file.
    Manifest(String),
    /// A folder of a git repository.
    Base(Base),
    /// A file, or else the folder of a git repository: only the response shows which.
    Either(String, Base),
}

/// A folder of a git repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Base {
    /// The repository: `https://github.com/org/repo`.
    pub url: String,
    /// The branch, tag or commit; the default branch if none.
    pub reference: Option<String>,
    /// The folder in it.
    pub path: PathBuf,
}

/// Why a URL is rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(pub &'static str);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// How kustomize interprets a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// A file, for patches.
    File,
    /// A folder, for components.
    Folder,
    /// Either, for resources.
    Any,
}

/// What a reference requires to be fetched; none if it is a path, or not a reference.
pub fn remote(text: &str, taken_for: Use) -> Result<Option<Remote>, Refused> {
    let is_web = has_scheme(text, "http") || has_scheme(text, "https");
    if text.contains('\n') && !is_web {
        return Ok(None);
    }
    if is_web && taken_for == Use::File {
        return Ok(Some(Remote::Manifest(web(text)?)));
    }
    let base = match parts(text) {
        Some(parts) if taken_for != Use::File => Some(base(text, &parts)),
        _ => None,
    };
    if !is_web || taken_for == Use::Folder {
        return base.transpose().map(|base| base.map(Remote::Base));
    }
    let is_manifest = [".yaml", ".yml", ".json"].iter().any(|end| text.ends_with(end));
    Ok(Some(match base {
        Some(base) if !is_manifest && says_git(text) => Remote::Base(base?),
        Some(Ok(base)) if !is_manifest => Remote::Either(web(text)?, base),
        _ => Remote::Manifest(web(text)?),
    }))
}

impl Remote {
    /// Its URL, for display; for a base, without the folder.
    pub fn url(&self) -> &str {
        match self {
            Self::Manifest(url) | Self::Either(url, _) => url,
            Self::Base(base) => &base.url,
        }
    }

    /// Whether the content is verified: a commit is a digest of its content.
    pub fn has_commit(&self) -> bool {
        match self {
            Self::Manifest(_) | Self::Either(..) => false,
            Self::Base(base) => base.reference.as_deref().is_some_and(is_commit),
        }
    }

    /// Whether the content never changes: the URL contains a release (`v1.6.3`) or a commit.
    pub fn is_pinned(&self) -> bool {
        match self {
            Self::Manifest(url) => url.split(['/', '=', '?', '&', '@']).any(is_version),
            Self::Base(base) | Self::Either(_, base) => {
                let reference = base.reference.as_deref().unwrap_or_default();
                reference.split('/').any(is_version)
            }
        }
    }
}

fn is_commit(part: &str) -> bool {
    is_hex(part, 40)
}

fn is_version(part: &str) -> bool {
    is_commit(part) || semver::Version::parse(part.strip_prefix('v').unwrap_or(part)).is_ok()
}

/// Whether Go parses it as a URL with that scheme.
fn has_scheme(text: &str, scheme: &str) -> bool {
    text.split_once(':').is_some_and(|(start, _)| start.eq_ignore_ascii_case(scheme))
}

/// Whether a URL is explicitly a git URL.
fn says_git(text: &str) -> bool {
    let (address, query) = text.split_once('?').unwrap_or((text, ""));
    let path = address.split_once("://").map_or(address, |(_, rest)| rest);
    ["ref=", "version=", "submodules=", "timeout="].iter().any(|one| query.contains(one))
        || path.contains("//")
        || path.contains("_git/")
        || path.contains(".git/")
        || path.strip_suffix(".git").is_some()
}

/// The URL of a file.
fn web(text: &str) -> Result<String, Refused> {
    checked(text).map(|url| url.to_string())
}

/// Requires TLS, a host, and no credentials.
fn checked(text: &str) -> Result<Url, Refused> {
    // URL parsers interpret these differently.
    if text.chars().any(|one| one.is_control() || one.is_whitespace() || one == '\\') {
        return Err(Refused("invalid address"));
    }
    if text.split_once("://").is_some_and(|(_, rest)| rest.starts_with('/')) {
        return Err(Refused("it has no host"));
    }
    let url = Url::parse(text).map_err(|_| Refused("invalid address"))?;
    match url.scheme() {
        "https" => {}
        "http" => {
            return Err(Refused("it uses http://, which is not protected against tampering; use https://"));
        }
        _ => return Err(Refused("only https:// is supported")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refused("it contains credentials"));
    }
    if url.host_str().is_none_or(|host| host.is_empty() || host.starts_with('-')) {
        return Err(Refused("it has no host"));
    }
    Ok(url)
}

/// How kustomize parses a text as a git URL.
#[derive(Debug, PartialEq, Eq)]
struct Parts {
    host: String,
    repository: String,
    path: String,
    query: String,
}

fn base(text: &str, parts: &Parts) -> Result<Base, Refused> {
    if text.chars().any(|one| one.is_control() || one.is_whitespace()) {
        return Err(Refused("invalid address"));
    }
    if !parts.host.starts_with("https://") {
        return Err(Refused(match parts.host.split_once("://") {
            Some(("http", _)) => "it uses http://, which is not protected against tampering; use https://",
            Some(("file", _)) => "it is a local folder, which Flux cannot access",
            _ => "it uses SSH, for which Flux has no key here; use https://",
        }));
    }
    let url = checked(&format!("{}{}", parts.host, parts.repository))?;
    let reference = reference(&parts.query)?;
    let path = Path::new(&parts.path);
    let is_plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if !path.components().all(is_plain) {
        return Err(Refused("its path leaves the repository"));
    }
    Ok(Base {
        url: url.to_string(),
        reference,
        path: path.components().filter(|part| *part != Component::CurDir).collect(),
    })
}

/// The value of `?ref=` or `?version=`.
fn reference(query: &str) -> Result<Option<String>, Refused> {
    if query.contains(';') {
        // Go ignores such a query.
        return Err(Refused("its query contains a semicolon"));
    }
    let get = |name: &str| {
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs
            .into_iter()
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.into_owned())
    };
    match get("ref").or_else(|| get("version")) {
        Some(reference) if !is_reference(&reference) => {
            Err(Refused("its ref is not a branch, tag or commit"))
        }
        reference => Ok(reference),
    }
}

/// Whether git can interpret it only as the name of a branch or a tag, or as a commit: not as an option, a
/// pattern or a pair of names.
fn is_reference(text: &str) -> bool {
    let allowed = |one: char| one.is_ascii_alphanumeric() || "._/@+-#=,%".contains(one);
    let begins_well = text.starts_with(|one: char| one.is_ascii_alphanumeric() || one == '_');
    let is_part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with('.');
    text.len() <= 250
        && begins_well
        && text.chars().all(allowed)
        && !text.contains("..")
        && !text.contains("@{")
        && text.split('/').all(|part| {
            is_part(part) && !Path::new(part).extension().is_some_and(|end| end.eq_ignore_ascii_case("lock"))
        })
}

/// Parses a git URL as kustomize does; none if kustomize treats it as a path.
fn parts(text: &str) -> Option<Parts> {
    if text.starts_with('/') {
        return None;
    }
    let (rest, query) = text.split_once('?').unwrap_or((text, ""));
    let (host, rest) = host(rest)?;
    let is_local = host.starts_with("file://");
    let (repository, path) = marked_split(&rest).or_else(|| default_split(&rest, is_local))?;
    if repository.is_empty() {
        return None;
    }
    Some(Parts {
        host,
        repository,
        path: path.strip_prefix('/').unwrap_or(&path).to_owned(),
        query: query.to_owned(),
    })
}

fn without_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn host(text: &str) -> Option<(String, String)> {
    let text = without_prefix(text, "git::").unwrap_or(text);
    let schemes = ["ssh://", "https://", "http://", "file://"];
    let (scheme, rest) = schemes
        .iter()
        .find_map(|scheme| Some((*scheme, without_prefix(text, scheme)?)))
        .unwrap_or(("", text));
    let (user, rest) = user(rest);
    let is_github = ["github.com/", "github.com:"].iter().any(|one| without_prefix(rest, one).is_some());
    let takes_scp = scheme.is_empty() && (!user.is_empty() || is_github);
    if scheme.is_empty() && !takes_scp {
        return None;
    }
    if scheme == "file://" {
        return Some((scheme.to_owned(), format!("{user}{rest}")));
    }
    let slash = rest.find('/');
    let colon = rest.find(':').filter(|colon| takes_scp && *colon > 0);
    let end = match (slash, colon) {
        (Some(slash), Some(colon)) => Some(slash.min(colon)),
        (Some(slash), None) => Some(slash),
        (None, colon) if takes_scp => colon,
        (None, _) => None,
    };
    let (host, rest) = match end {
        Some(end) => rest.split_at(end + 1),
        None => (rest, ""),
    };
    if is_github {
        let by_ssh = scheme == "ssh://" || !user.is_empty();
        let host = if by_ssh { format!("{user}github.com:") } else { "https://github.com/".to_owned() };
        return Some((host, rest.to_owned()));
    }
    (!host.is_empty()).then(|| (format!("{scheme}{user}{host}"), rest.to_owned()))
}

/// A leading `name@`.
fn user(text: &str) -> (&str, &str) {
    let end = text.find('@').filter(|end| {
        let name = text.get(..*end).unwrap_or_default();
        name.starts_with(|one: char| one.is_ascii_alphabetic())
            && name.chars().all(|one| one.is_ascii_alphanumeric() || one == '-')
    });
    end.map_or(("", text), |end| text.split_at(end + 1))
}

fn marked_split(text: &str) -> Option<(String, String)> {
    if let Some(at) = text.find("_git/") {
        let (before, after) = text.split_at(at + "_git/".len());
        let (name, path) = after.split_once('/').unwrap_or((after, ""));
        return Some((format!("{before}{name}"), path.to_owned()));
    }
    if let Some((repository, path)) = text.split_once("//") {
        return Some((repository.to_owned(), path.to_owned()));
    }
    let (before, path) = text.split_once(".git")?;
    Some((format!("{before}.git"), path.to_owned()))
}

fn default_split(text: &str, all: bool) -> Option<(String, String)> {
    if all {
        return Some((text.to_owned(), String::new()));
    }
    let parts: Vec<&str> = text.split('/').collect();
    (parts.len() >= 2).then(|| (parts[..2].join("/"), parts[2..].join("/")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn base_of(text: &str) -> Result<(String, String, String), String> {
        match remote(text, Use::Folder) {
            Ok(Some(Remote::Base(Base { url, reference, path }))) => {
                Ok((url, reference.unwrap_or_default(), path.display().to_string()))
            }
            Ok(other) => Err(format!("{other:?}")),
            Err(refused) => Err(refused.to_string()),
        }
    }

    #[test]
    fn the_dialects_of_kustomize_are_parsed() {
        let github = "https://github.com/org/repo";
        let table = [
            ("https://github.com/org/repo?ref=v1.0.0", github, "v1.0.0", ""),
            ("https://github.com/org/repo//a/b?ref=main", github, "main", "a/b"),
            ("https://github.com/org/repo/a/b?version=main", github, "main", "a/b"),
            ("HTTPS://GitHub.com/org/repo/a", github, "", "a"),
            ("github.com/org/repo//a?ref=feature/x", github, "feature/x", "a"),
            ("git::https://github.com/org/repo//a?ref=v1&timeout=90s&submodules=false", github, "v1", "a"),
            ("GIT::github.com/org/repo", github, "", ""),
            ("https://x.test/org/repo.git/a/b", "https://x.test/org/repo.git", "", "a/b"),
            ("https://x.test/deep/er/repo.git?ref=0a1b2c", "https://x.test/deep/er/repo.git", "0a1b2c", ""),
            (
                "https://dev.azure.com/org/project/_git/repo/a",
                "https://dev.azure.com/org/project/_git/repo",
                "",
                "a",
            ),
            ("https://x.test:8443/org/repo//a", "https://x.test:8443/org/repo", "", "a"),
            ("https://x.test/one/two/three", "https://x.test/one/two", "", "three"),
        ];
        for (text, url, reference, path) in table {
            assert_eq!(base_of(text), Ok((url.to_owned(), reference.to_owned(), path.to_owned())), "{text}");
        }
    }

    #[test]
    fn what_flux_could_not_fetch_safely_is_refused() {
        for text in [
            "file:///x//y?ref=--upload-pack=id>/tmp/ran",
            "file:///x",
            "FILE:///x//y",
            "git::file:///x//y",
            "ssh://git@x.test/org/repo//a",
            "git@github.com:org/repo//a",
            "git@x.test:org/repo.git",
            "ssh://-oProxyCommand=id/x/y",
            "user@-oProxyCommand=id:x/y",
            "org-1@github.com:x/y",
            "http://x.test/org/repo//a",
            "https://user:password@x.test/org/repo//a",
            "https://token@x.test/org/repo//a",
            "https://x.test/org/repo//a?ref=--upload-pack=id",
            "https://x.test/org/repo//a?ref=-x",
            "https://x.test/org/repo//a?ref=a:b",
            "https://x.test/org/repo//a?ref=%2Bmain",
            "https://x.test/org/repo//a?ref=a..b",
            "https://x.test/org/repo//a?ref=main%20--upload-pack%3Did",
            "https://x.test/org/repo//a?ref=main;x",
            "https://x.test/org/repo//../../a",
            "https:///x/y//z",
            "https://x.test/org/re\npo//a",
        ] {
            let refused = remote(text, Use::Any);
            assert!(refused.is_err(), "{text} {refused:?}");
        }
    }

    #[test]
    fn files_and_paths_are_distinguished() {
        let file = |text: &str| Ok(Some(Remote::Manifest(text.to_owned())));
        let manifest = "https://x.test/org/repo/v1.0.0/a.yaml";
        assert_eq!(remote(manifest, Use::Any), file(manifest));
        assert_eq!(remote(manifest, Use::File), file(manifest));
        assert!(matches!(remote("https://x.test/org/repo/a", Use::Any), Ok(Some(Remote::Either(..)))));
        assert!(matches!(remote("https://x.test/a", Use::Any), Ok(Some(Remote::Manifest(_)))));
        for text in [
            "../base",
            "a.yaml",
            "ext::sh -c id",
            "git://x.test/a/b",
            "/etc/passwd",
            "",
            "a@b",
            "- op: add\n  path: x",
        ] {
            assert_eq!(remote(text, Use::Any), Ok(None), "{text}");
        }
        assert_eq!(remote("file:///etc/passwd", Use::File), Ok(None));
        assert!(remote("http://127.0.0.1/a.yaml", Use::File).is_err());
        assert!(remote("http:a", Use::File).is_err());
    }

    #[test]
    fn what_names_a_version_stays_the_same() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let table = [
            ("https://x.test/a/v1.6.3/b.yaml".to_owned(), true),
            ("https://x.test/a/main/b.yaml".to_owned(), false),
            ("https://x.test/a/v1.6/b.yaml".to_owned(), false),
            ("github.com/a/b//c?ref=v1.2.3".to_owned(), true),
            ("github.com/a/b//c".to_owned(), false),
            ("github.com/a/b//v1.2.3?ref=main".to_owned(), false),
            (format!("https://x.test/a/b?ref={commit}"), true),
        ];
        for (text, expected) in table {
            assert_eq!(remote(&text, Use::Any).unwrap().unwrap().is_pinned(), expected, "{text}");
        }
    }

    proptest! {
        /// Whatever the input, no part can be an option of git, and only TLS is used.
        #[test]
        fn no_part_is_an_option(
            scheme in prop::sample::select(vec!["", "https://", "git::", "git::https://", "ssh://", "file://", "http://", "ext::", "HTTPS://", "git@", "-"]),
            host in "[-a-zA-Z0-9.:@/%]{0,16}",
            path in "[-a-zA-Z0-9./_?=&%:@;+ ]{0,40}",
            reference in "[-a-zA-Z0-9./:^~%+@{}]{0,20}",
        ) {
            let text = format!("{scheme}{host}/{path}?ref={reference}");
            for taken_for in [Use::Any, Use::File, Use::Folder] {
                let Ok(Some(found)) = remote(&text, taken_for) else { continue };
                let (urls, base) = match found {
                    Remote::Manifest(url) => (vec![url], None),
                    Remote::Base(base) => (vec![base.url.clone()], Some(base)),
                    Remote::Either(url, base) => (vec![url, base.url.clone()], Some(base)),
                };
                for url in urls {
                    let url = Url::parse(&url).unwrap();
                    prop_assert_eq!(url.scheme(), "https");
                    prop_assert!(!url.host_str().unwrap().starts_with('-') && url.username().is_empty());
                }
                if let Some(base) = base {
                    let reference = base.reference.unwrap_or_default();
                    prop_assert!(!reference.starts_with('-') && !reference.contains([':', ' ', '^', '*']));
                    prop_assert!(!base.path.starts_with("..") && base.path.is_relative());
                }
            }
        }
    }
}
