//! The rule catalogue, and the run of all rules.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::silence::{Report, silence};
use super::{Finding, Fleet, Rule, rules};

/// Every rule, by family.
pub fn catalogue() -> impl Iterator<Item = &'static Rule> {
    rules::FAMILIES.iter().flat_map(|family| family.iter())
}

/// The rule with this name.
pub fn rule_named(name: &str) -> Option<&'static Rule> {
    catalogue().find(|rule| rule.name == name)
}

/// Checks every rule.
pub fn validate(fleet: &Fleet) -> Report {
    let found = catalogue().flat_map(|rule| (rule.check)(rule, fleet)).collect();
    let mut report = silence(joined(found), fleet, rule_named);
    report.findings.sort_by(order);
    report
}

/// Merges equal findings of several clusters into one that lists them all.
fn joined(found: Vec<Finding>) -> Vec<Finding> {
    let mut joined: Vec<Finding> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for finding in found {
        let key =
            format!("{}\0{:?}\0{}\0{:?}", finding.rule, finding.object, finding.message, finding.location);
        match known.get(&key) {
            Some(at) => joined[*at].clusters.extend(finding.clusters),
            None => {
                known.insert(key, joined.len());
                joined.push(finding);
            }
        }
    }
    joined
}

fn order(a: &Finding, b: &Finding) -> Ordering {
    let key = |finding: &Finding| {
        let place = finding.location.as_ref().map(|place| (place.file.clone(), place.line, place.column));
        (finding.severity, place, finding.rule, finding.object.clone(), finding.message.clone())
    };
    key(a).cmp(&key(b))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_rule_has_a_name_of_its_own_in_kebab_case_and_all_its_texts() {
        let mut names = BTreeSet::new();
        for rule in catalogue() {
            assert!(names.insert(rule.name), "{} is there twice", rule.name);
            assert!(
                rule.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{}",
                rule.name
            );
            for text in [rule.summary, rule.why, rule.fix] {
                assert!(!text.is_empty() && !text.ends_with('.'), "{}: {text:?}", rule.name);
            }
        }
    }

    #[test]
    fn the_same_finding_in_two_clusters_is_one() {
        let rule = rule_named("cluster-unreadable").unwrap();
        let one = |cluster| Finding::of(rule, "broken").in_cluster(cluster);
        let joined = joined(vec![one("b"), one("a"), Finding::of(rule, "other").in_cluster("a")]);
        assert_eq!(joined.len(), 2);
        assert_eq!(joined[0].clusters.iter().collect::<Vec<_>>(), ["a", "b"]);
    }
}
