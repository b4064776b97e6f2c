//! Releases of Gateway API: a version and a channel.

/// A version of Gateway API.
pub(super) type Version = (u64, u64, u64);

/// A release of Gateway API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bundle {
    pub(super) version: Version,
    /// Whether it is of the standard channel.
    pub(super) is_standard: bool,
}

impl Bundle {
    /// By its address: `…/gateway-api/releases/download/v1.6.1/standard-install.yaml`.
    pub(super) fn at(location: &str) -> Option<Self> {
        let (_, rest) = location.split_once("gateway-api/")?;
        let mut versions = rest.split(['/', '?', '=']).filter(|part| part.starts_with('v'));
        let version = versions.find_map(parse)?;
        Some(Self { version, is_standard: rest.contains("standard") })
    }

    /// By the annotations of one of its CRDs.
    pub(super) fn annotated(version: &str, channel: &str) -> Option<Self> {
        Some(Self { version: parse(version)?, is_standard: channel == "standard" })
    }

    /// Why its policy `safe-upgrades.gateway.networking.k8s.io` refuses a CRD of another release in place of its
    /// own; none if it does not, or has no such policy.
    pub(super) fn refuses(self, other: Self) -> Option<String> {
        let (major, minor, _) = self.version;
        let oldest = if self.is_standard && (major, minor) >= (1, 6) { (1, 6, 0) } else { (1, 5, 0) };
        if self.version < (1, 5, 0) {
            None
        } else if other.version < oldest {
            Some(format!("it is of a release before {}.{}", oldest.0, oldest.1))
        } else if self.is_standard && !other.is_standard {
            Some("it is experimental, on top of the standard channel".to_owned())
        } else {
            None
        }
    }
}

fn parse(version: &str) -> Option<Version> {
    let version = semver::Version::parse(version.strip_prefix('v')?).ok()?;
    Some((version.major, version.minor, version.patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_tells_version_and_channel() {
        let at = |version: &str, channel: &str| {
            let host = "https://github.com/kubernetes-sigs/gateway-api/releases/download";
            Bundle::at(&format!("{host}/{version}/{channel}-install.yaml"))
        };
        let bundle = |version, is_standard| Some(Bundle { version, is_standard });
        assert_eq!(at("v1.6.1", "standard"), bundle((1, 6, 1), true));
        assert_eq!(at("v1.5.0", "experimental"), bundle((1, 5, 0), false));
        assert_eq!(Bundle::at("kubernetes/crds.yaml"), None);
    }

    #[test]
    fn a_policy_refuses_older_and_experimental_ones() {
        let bundle = |version, is_standard| Bundle { version, is_standard };
        let standard = bundle((1, 6, 1), true);
        assert!(standard.refuses(bundle((1, 4, 1), true)).is_some());
        assert!(standard.refuses(bundle((1, 6, 1), false)).is_some());
        assert!(standard.refuses(bundle((1, 6, 3), true)).is_none());
        assert!(bundle((1, 4, 1), true).refuses(bundle((1, 2, 0), true)).is_none());
        assert!(bundle((1, 5, 0), false).refuses(bundle((1, 5, 1), true)).is_none());
    }
}
