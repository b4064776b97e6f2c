//! One request of a repository.

use std::fmt;

use serde::Serialize;

use bootstrapper_core::digest::sha256;
use bootstrapper_core::failure::Location;

/// The kind of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequestKind {
    /// A kubeconfig context with another name than the cluster.
    Context,
    /// The value of an environment variable.
    Variable,
    /// The content of a file.
    File,
    /// A value in the 1Password vaults that the user is signed in to.
    OnePassword,
    /// A value in Bitwarden vaults or projects that the user can read.
    Bitwarden,
    /// A value in a HashiCorp Vault that the user can read.
    Vault,
    /// The output of a program, run as the user.
    Program,
    /// The user's age keys themselves, for a Secret.
    AgeKeys,
    /// A value in a file that the user's SOPS keys decrypt.
    Sops,
    /// The user's SOPS keys, for the build of a Kustomization.
    Keys,
    /// A program, run as the user.
    Command,
}

impl RequestKind {
    /// Its name for display.
    pub fn name(self) -> &'static str {
        match self {
            Self::Context => "kubeconfig context",
            Self::Variable => "environment variable",
            Self::File => "file",
            Self::OnePassword => "1Password",
            Self::Bitwarden => "Bitwarden",
            Self::Vault => "Vault",
            Self::Program => "program",
            Self::AgeKeys => "age keys",
            Self::Sops => "SOPS file",
            Self::Keys => "SOPS keys",
            Self::Command => "command",
        }
    }
}

/// One request of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Request {
    /// Its kind.
    pub kind: RequestKind,
    /// Its subject: the variable's name, the resolved path, the reference, the command line.
    pub what: String,
    /// Its purpose.
    pub purpose: String,
    /// The digest of the approved content, for files of the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Where the repository declares it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
}

impl Request {
    /// A request without content and location.
    pub fn new(kind: RequestKind, what: impl Into<String>, purpose: impl Into<String>) -> Self {
        Self { kind, what: what.into(), purpose: purpose.into(), content: None, location: None }
    }

    /// Identifies the request: a different subject or content has a different digest. Its location is not
    /// included, because lines move.
    pub fn digest(&self) -> String {
        let all = serde_json::json!([self.kind.name(), self.what, self.purpose, self.content]);
        sha256(all.to_string())
    }
}

impl fmt::Display for Request {
    /// Always one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}  for {}", self.kind.name(), shown(&self.what), shown(&self.purpose))?;
        if let Some(content) = &self.content {
            write!(f, ", content {}", content.get(..12).unwrap_or(content))?;
        }
        match &self.location {
            Some(location) => write!(f, "  ({})", shown(&location.to_string())),
            None => Ok(()),
        }
    }
}

/// The digest of a whole list, in any order, for approvals in CI.
pub fn digest_of<'a>(requests: impl IntoIterator<Item = &'a Request>) -> String {
    let mut digests: Vec<String> = requests.into_iter().map(Request::digest).collect();
    digests.sort();
    digests.dedup();
    sha256(digests.join("\n"))
}

/// A text of the repository on one line, in which nothing is hidden: control characters, and those that change
/// the direction or have no width, are escaped.
pub fn shown(text: &str) -> String {
    let is_hidden = |one: char| {
        one.is_control()
            || matches!(one, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
    };
    text.chars()
        .map(|one| if is_hidden(one) { one.escape_unicode().to_string() } else { one.to_string() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_differs_is_another_request_and_its_place_is_not() {
        let one = Request::new(RequestKind::Variable, "TOKEN", "Secret a/b, key c");
        let moved =
            Request { location: Some(Location { file: "x".into(), line: 1, column: 1 }), ..one.clone() };
        assert_eq!(one.digest(), moved.digest());
        let others = [
            Request { kind: RequestKind::File, ..one.clone() },
            Request { what: "OTHER".into(), ..one.clone() },
            Request { purpose: "Secret a/b, key d".into(), ..one.clone() },
            Request { content: Some("x".into()), ..one.clone() },
            Request::new(RequestKind::Variable, "TOKEN\",\"Secret", "a/b, key c"),
        ];
        for other in &others {
            assert_ne!(one.digest(), other.digest(), "{other:?}");
        }
        assert_eq!(digest_of([&one, &others[0]]), digest_of([&others[0], &one, &one]));
        assert_ne!(digest_of([&one]), digest_of([&one, &others[0]]));
    }

    #[test]
    fn a_request_is_one_line_and_nothing_hides_in_it() {
        let hostile = Request::new(RequestKind::Command, "a\n\u{1b}[2Kfile\u{202e}x", "step\r\u{200b}y");
        let line = hostile.to_string();
        assert!(!line.contains(['\n', '\r', '\u{1b}', '\u{202e}', '\u{200b}']), "{line:?}");
        assert!(line.contains("\\u{1b}"), "{line}");
    }
}
