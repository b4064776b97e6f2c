//! Generates names for new objects.

use std::collections::BTreeSet;

use bootstrapper_core::digest::short_sha256;

/// The maximum length of a DNS label, and of a label value.
const LONGEST: usize = 63;
const DIGEST: usize = 8;

/// Lower-case letters, digits and single dashes. For `${BGP_ROUTER}`, the variable's name.
pub(super) fn slug(text: &str) -> String {
    let plain: String =
        text.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { ' ' }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join("-")
}

/// A DNS label: dots become dashes, and a long name is shortened with a digest. `${…}` stays.
pub(super) fn label(name: &str) -> String {
    if name.contains("${") {
        return name.to_owned();
    }
    let label = slug(name);
    if label.len() <= LONGEST {
        return label;
    }
    let kept: String = label.chars().take(LONGEST - DIGEST - 1).collect();
    format!("{}-{}", kept.trim_end_matches('-'), short_sha256(&label, DIGEST))
}

/// Unique names.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    pub(super) fn take(&mut self, name: &str) {
        self.taken.insert(name.to_owned());
    }

    /// The name as a label, with a numeric suffix if it is taken.
    pub(super) fn unique(&mut self, wanted: &str) -> String {
        let mut name = label(wanted);
        let mut number = 2;
        while !self.taken.insert(name.clone()) {
            name = label(&format!("{wanted}-{number}"));
            number += 1;
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_labels() {
        let cases = [
            ("10.25.11.1", "10-25-11-1"),
            ("fd00::1", "fd00-1"),
            ("${BGP_ROUTER_ADDRESS}", "bgp-router-address"),
            ("Rack.0", "rack-0"),
        ];
        for (text, expected) in cases {
            assert_eq!(slug(text), expected);
        }
        let long = label(&format!("{}-end", "rack.".repeat(20)));
        assert!(long.len() <= LONGEST && long.starts_with("rack-rack-"), "{long}");
        assert_ne!(long, label(&format!("{}-other", "rack.".repeat(20))));
        assert_eq!(label("${CLUSTER}-bgp"), "${CLUSTER}-bgp");
    }

    #[test]
    fn a_name_is_given_once() {
        let mut names = Names::default();
        names.take("bgp");
        assert_eq!([names.unique("bgp"), names.unique("bgp"), names.unique("a")], ["bgp-2", "bgp-3", "a"]);
    }
}
