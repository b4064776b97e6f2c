//! Versions and version ranges as Helm and Flux parse them (`Masterminds/semver` v3.5.0).

use std::sync::LazyLock;

use regex::{Captures, Regex};
use semver::{BuildMetadata, Prerelease, Version};

/// A range of versions: `1.x`, `^1.2`, `>= 1.0, < 3 || 5.*`.
#[derive(Debug)]
pub(super) struct Range(Vec<Vec<Bound>>);

#[derive(Debug)]
struct Bound {
    operator: String,
    version: Version,
    /// How many of the three numbers are given.
    given: usize,
}

const PLACES: &str = r"v?([0-9|x|X|\*]+)(\.[0-9|x|X|\*]+)?(\.[0-9|x|X|\*]+)?(-([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?";
const OPERATORS: &str = r"=||!=|>|<|>=|=>|<=|=<|~|~>|\^";
const VERSION: &str = r"^v?([0-9]+)(\.[0-9]+)?(\.[0-9]+)?(-([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?$";
const MOST_GROUPS: usize = 32;
const LONGEST: usize = 512;

struct Patterns {
    version: Regex,
    span: Regex,
    valid: Regex,
    find: Regex,
}

/// None only if a pattern is invalid, which the tests would show.
static PATTERNS: LazyLock<Option<Patterns>> = LazyLock::new(|| {
    let bound = format!(r"({OPERATORS})\s*({PLACES})");
    Some(Patterns {
        version: Regex::new(VERSION).ok()?,
        span: Regex::new(&format!(r"\s*(?<from>{PLACES})\s+-\s+(?<to>{PLACES})\s*")).ok()?,
        valid: Regex::new(&format!(r"^(\s*{bound}\s*)((?:\s+|,\s*){bound}\s*)*$")).ok()?,
        find: Regex::new(&bound).ok()?,
    })
});

/// Parses a version; `v1.2` is valid, as for Helm.
pub(super) fn version(text: &str) -> Option<Version> {
    let found = PATTERNS.as_ref()?.version.captures(text)?;
    let number = |at: usize| -> Option<u64> {
        found.get(at).map_or(Some(0), |number| number.as_str().trim_start_matches('.').parse().ok())
    };
    Some(Version {
        major: number(1)?,
        minor: number(2)?,
        patch: number(3)?,
        pre: Prerelease::new(found.get(5).map_or("", |pre| pre.as_str())).ok()?,
        build: BuildMetadata::new(found.get(8).map_or("", |build| build.as_str())).ok()?,
    })
}

impl Range {
    /// Parses a range; none if it is invalid.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let patterns = PATTERNS.as_ref()?;
        if text.len() > LONGEST {
            return None;
        }
        let spelled_out = |found: &Captures<'_>| format!(">= {}, <= {} ", &found["from"], &found["to"]);
        let text = patterns.span.replace_all(text, spelled_out);
        let groups: Vec<&str> = text.split("||").collect();
        if groups.len() > MOST_GROUPS {
            return None;
        }
        let group = |group: &&str| {
            patterns.valid.is_match(group).then_some(())?;
            patterns.find.captures_iter(group).map(|found| Bound::read(&found)).collect()
        };
        groups.iter().map(group).collect::<Option<Vec<_>>>().map(Self)
    }

    /// Whether it contains a version. A prerelease matches only if the range itself has one.
    pub(super) fn contains(&self, version: &Version) -> bool {
        self.0.iter().any(|group| {
            let takes_early = group.iter().any(|bound| !bound.version.pre.is_empty());
            (version.pre.is_empty() || takes_early) && group.iter().all(|bound| bound.contains(version))
        })
    }
}

impl Bound {
    fn read(found: &Captures<'_>) -> Option<Self> {
        let place = |at: usize| found.get(at).map_or("", |place| place.as_str()).trim_start_matches('.');
        let is_open = |place: &str| matches!(place, "" | "x" | "X" | "*");
        let places = [place(3), place(4), place(5)];
        let given = places.iter().position(|place| is_open(place)).unwrap_or(3);
        let number = |at: usize| if at < given { places[at].parse().ok() } else { Some(0) };
        Some(Self {
            operator: found[1].to_owned(),
            version: Version {
                major: number(0)?,
                minor: number(1)?,
                patch: number(2)?,
                pre: Prerelease::new(place(7)).ok()?,
                build: BuildMetadata::EMPTY,
            },
            given,
        })
    }

    fn contains(&self, version: &Version) -> bool {
        let own = &self.version;
        let is_before = version.cmp_precedence(own).is_lt();
        let same_major = version.major == own.major;
        let same_minor = version.minor == own.minor;
        let whole = self.given == 3;
        match self.operator.as_str() {
            "" | "=" if whole => version.cmp_precedence(own).is_eq(),
            "" | "=" | "~" | "~>" => self.tilde(version),
            "!=" => match self.given {
                // No number is given: the original compares all of them anyway.
                0 => {
                    !same_major
                        || !same_minor
                        || version.patch != own.patch
                        || version.cmp_precedence(own).is_ne()
                }
                1 => !same_major,
                2 => {
                    !same_major
                        || !same_minor
                        || (!(version.pre.is_empty() && own.pre.is_empty()) && version.pre != own.pre)
                }
                _ => version.cmp_precedence(own).is_ne(),
            },
            ">" => match self.given {
                1 => version.major > own.major,
                2 => version.major > own.major || (same_major && version.minor > own.minor),
                _ => version.cmp_precedence(own).is_gt(),
            },
            "<" => is_before,
            ">=" | "=>" => !is_before,
            "<=" | "=<" if whole => version.cmp_precedence(own).is_le(),
            "<=" | "=<" => {
                version.major < own.major || (same_major && (version.minor <= own.minor || self.given == 1))
            }
            _ => self.caret(version),
        }
    }

    fn tilde(&self, version: &Version) -> bool {
        let own = &self.version;
        if version.cmp_precedence(own).is_lt() {
            return false;
        }
        let is_zero = (own.major, own.minor, own.patch) == (0, 0, 0);
        (is_zero && self.given != 1 && self.given != 2)
            || (version.major == own.major && (version.minor == own.minor || self.given == 1))
    }

    fn caret(&self, version: &Version) -> bool {
        let own = &self.version;
        if version.cmp_precedence(own).is_lt() || version.major != own.major {
            return false;
        }
        if own.major > 0 || self.given == 1 {
            return true;
        }
        version.minor == own.minor && (own.minor > 0 || self.given == 2 || version.patch == own.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_helm_says_they_hold() {
        let table = [
            ("*", "1.2.3", true),
            ("*", "1.2.3-rc.1", false),
            (">=0-0", "1.2.3-rc.1", true),
            ("1.2.3", "v1.2.3+abc", true),
            ("1.x", "1.9.0", true),
            ("1.x", "2.0.0", false),
            ("~1.2", "1.3.0", false),
            ("^0.2.3", "0.3.0", false),
            ("^1.2", "1.9.9", true),
            (">= 1.0, < 3 || 5.*", "5.1.0", true),
            ("1.2 - 2.0", "2.0.5", true),
            ("!=1.2", "1.2.9", false),
            ("<=1", "1.9.0", true),
        ];
        for (range, text, holds) in table {
            let range_read = Range::parse(range).unwrap();
            assert_eq!(range_read.contains(&version(text).unwrap()), holds, "{range} {text}");
        }
        assert!(Range::parse("one").is_none() && version("1.2.3.4").is_none());
    }
}
