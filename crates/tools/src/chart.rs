//! The source of a chart.

use std::fmt;

use super::version_range::{self, Range};
use bootstrapper_core::failure::Failure;

/// The source and version of a chart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ChartSource {
    /// An OCI artifact.
    Oci {
        /// `oci://quay.io/cilium/charts/cilium`.
        url: String,
        /// A version, or a range.
        version: String,
    },
    /// A chart of a classic Helm repository.
    Repository {
        /// `https://charts.example.org`.
        url: String,
        /// The chart's name.
        chart: String,
        /// A version, or a range.
        version: String,
    },
    /// A folder of another Flux source, which only Flux can read: a git repository, a bucket.
    Folder {
        /// The source: `GitRepository flux-system/charts`.
        source: String,
        /// The folder in it.
        path: String,
        /// A version, or a range.
        version: String,
    },
}

impl ChartSource {
    /// Why a chart is rejected: its URL is not `oci://`, `https://` or `http://`, or a part of it is not a
    /// valid name. Helm would interpret it as a local file, a plugin or an option.
    pub fn refusal(&self) -> Option<Failure> {
        let (url, schemes, name): (&str, &[&str], &str) = match self {
            Self::Oci { url, .. } => (url, &["oci"], ""),
            Self::Repository { url, chart, .. } => (url, &["https", "http"], chart),
            Self::Folder { .. } => return None,
        };
        let parsed = url::Url::parse(url).ok();
        let is_address = parsed.is_some_and(|parsed| {
            schemes.contains(&parsed.scheme())
                && parsed.host_str().is_some_and(|host| !host.is_empty() && !host.starts_with('-'))
                && parsed.password().is_none()
                && !url.contains(|one: char| one.is_control() || one.is_whitespace())
        });
        let why = if !is_address {
            format!("its address must start with {}://", schemes.join(":// or "))
        } else if matches!(self, Self::Repository { .. }) && !is_name(name) {
            "its name is invalid".to_owned()
        } else if self.version_text().contains(|one: char| one.is_control()) {
            "its version is invalid".to_owned()
        } else {
            return None;
        };
        let failure = Failure::input(format!("chart {self} is not allowed")).because(why);
        Some(failure.hint("correct the chart's address in its source"))
    }

    /// The chart's name: the last part of its URL.
    pub fn name(&self) -> &str {
        let address = match self {
            Self::Oci { url, .. } => url,
            Self::Repository { chart, .. } => chart,
            Self::Folder { path, .. } => path,
        };
        address.rsplit('/').next().unwrap_or(address)
    }

    /// The declared version or range.
    pub fn version_text(&self) -> &str {
        match self {
            Self::Oci { version, .. } | Self::Repository { version, .. } | Self::Folder { version, .. } => {
                version
            }
        }
    }

    /// The version, if exactly one is declared. A leading `v` is ignored.
    pub fn exact_version(&self) -> Option<&str> {
        let text = self.version_text();
        let bare = text.strip_prefix('v').unwrap_or(text);
        semver::Version::parse(bare).ok().map(|_| text)
    }

    /// The digest of the artifact, if declared instead of a version.
    pub fn digest(&self) -> Option<&str> {
        Some(self.version_text()).filter(|text| text.starts_with("sha256:"))
    }

    /// The tag of an artifact that is neither a version nor a range: `latest`.
    pub fn plain_tag(&self) -> Option<&str> {
        let Self::Oci { version, .. } = self else { return None };
        let is_version = version_range::version(version).is_some() || Range::parse(version).is_some();
        Some(version.as_str()).filter(|_| !is_version && self.digest().is_none())
    }

    /// Whether a chart version matches the declared version or range. The version of a digest is known only
    /// once it is fetched.
    pub fn is_met_by(&self, version: &str) -> bool {
        let declared = self.version_text();
        if declared == version {
            return true;
        }
        // A tag cannot contain the `+` of a version.
        let read = |text: &str| version_range::version(&text.replace('_', "+"));
        let Some(there) = read(version) else { return false };
        match (read(declared).filter(|_| self.exact_version().is_some()), Range::parse(declared)) {
            // Flux appends the digest of an artifact to its version.
            (Some(exact), _) => {
                exact.cmp_precedence(&there).is_eq() && (exact.build.is_empty() || exact.build == there.build)
            }
            (None, Some(range)) => range.contains(&there),
            (None, None) => false,
        }
    }
}

/// Whether it can be the name of a chart in a repository, optionally with parent folders.
fn is_name(text: &str) -> bool {
    let is_part = |part: &str| {
        part.starts_with(|one: char| one.is_ascii_alphanumeric() || one == '_')
            && part.chars().all(|one| one.is_ascii_alphanumeric() || "._-".contains(one))
    };
    text.split('/').all(is_part)
}

impl fmt::Display for ChartSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Oci { url, version } => write!(f, "{url} {version}"),
            Self::Repository { url, chart, version } => write!(f, "{chart} {version} of {url}"),
            Self::Folder { source, path, version } => write!(f, "{path} {version} of {source}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_helm_would_take_for_something_else_is_refused() {
        let repository = |url: &str, chart: &str| ChartSource::Repository {
            url: url.into(),
            chart: chart.into(),
            version: "1.0.0".into(),
        };
        let oci = |url: &str| ChartSource::Oci { url: url.into(), version: "1.0.0".into() };
        for chart in [
            repository("https://charts.x.test", "a"),
            repository("http://127.0.0.1:1234", "team/a_b.c-d"),
            oci("oci://x.test:5000/charts/a"),
        ] {
            assert!(chart.refusal().is_none(), "{chart}");
        }
        for chart in [
            repository("file:///etc", "a"),
            repository("git+https://x.test/a", "a"),
            repository("s3://bucket", "a"),
            repository("alias:x", "a"),
            repository("@x", "a"),
            repository("--debug", "a"),
            repository("", "a"),
            repository("https://u:p@x.test", "a"),
            repository("https://x.test", "--plugin"),
            repository("https://x.test", "../../etc"),
            repository("https://x.test", "https://y.test/a.tgz"),
            repository("https://x.test", ""),
            oci("https://x.test/a"),
            oci("oci://-x/a"),
            oci("oci:///a"),
        ] {
            assert!(chart.refusal().is_some(), "{chart}");
        }
    }
}
