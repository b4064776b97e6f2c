//! Where a chart comes from.

use std::fmt;

use super::version_range::{self, Range};

/// Where a chart comes from, and which version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ChartSource {
    /// An OCI artifact.
    Oci {
        /// `oci://quay.io/cilium/charts/cilium`.
        url: String,
        /// A version, or a range of them.
        version: String,
    },
    /// A chart of a classic repository.
    Repository {
        /// `https://charts.example.org`.
        url: String,
        /// The chart's name.
        chart: String,
        /// A version, or a range of them.
        version: String,
    },
    /// A folder of another Flux source, which only Flux can read: a git repository, a bucket.
    Folder {
        /// The source: `GitRepository flux-system/charts`.
        source: String,
        /// The folder within it.
        path: String,
        /// A version, or a range of them.
        version: String,
    },
}

impl ChartSource {
    /// The chart's name: the last part of its address.
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

    /// The version, if exactly one is declared. A leading `v` does not count.
    pub fn exact_version(&self) -> Option<&str> {
        let text = self.version_text();
        let bare = text.strip_prefix('v').unwrap_or(text);
        semver::Version::parse(bare).ok().map(|_| text)
    }

    /// The digest of the artifact, if that is what is declared instead of a version.
    pub fn digest(&self) -> Option<&str> {
        Some(self.version_text()).filter(|text| text.starts_with("sha256:"))
    }

    /// Whether a chart of that version is what is declared, or lies in the range that is. Which
    /// version a digest stands for is known only once it is fetched.
    pub fn is_met_by(&self, version: &str) -> bool {
        let declared = self.version_text();
        if declared == version {
            return true;
        }
        // A tag cannot hold the `+` of a version.
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

impl fmt::Display for ChartSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Oci { url, version } => write!(f, "{url} {version}"),
            Self::Repository { url, chart, version } => write!(f, "{chart} {version} of {url}"),
            Self::Folder { source, path, version } => write!(f, "{path} {version} of {source}"),
        }
    }
}
