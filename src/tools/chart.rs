//! Where a chart comes from.

use std::fmt;

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
