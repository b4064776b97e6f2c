//! Deduplicates objects of one kind that several objects reference.

use super::names::Names;
use bootstrapper_core::yaml::written::Node;

#[derive(Default)]
pub(super) struct Dedup {
    pub(super) names: Names,
    kept: Vec<(String, Node)>,
}

impl Dedup {
    /// Adds these specs, and returns the name of each. A new one is named after the policy; if there are
    /// several, also after the peer that needs it.
    pub(super) fn keep(&mut self, policy: &str, specs: Vec<(String, Node)>) -> Vec<String> {
        let mut new: Vec<&Node> = Vec::new();
        for (_, spec) in &specs {
            let is_kept = self.kept.iter().any(|(_, kept)| kept.has_same_value(spec));
            if !is_kept && new.iter().all(|other| !other.has_same_value(spec)) {
                new.push(spec);
            }
        }
        let is_one = new.len() <= 1;
        specs.into_iter().map(|(peer, spec)| self.name_of(policy, &peer, spec, is_one)).collect()
    }

    fn name_of(&mut self, policy: &str, peer: &str, spec: Node, is_one: bool) -> String {
        if let Some((name, kept)) = self.kept.iter_mut().find(|(_, kept)| kept.has_same_value(&spec)) {
            kept.absorb_notes(spec);
            return name.clone();
        }
        let wanted = if is_one { policy.to_owned() } else { format!("{policy}-{peer}") };
        let name = self.names.unique(&wanted);
        self.kept.push((name.clone(), spec));
        name
    }

    /// The number of objects.
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// The objects after the first `seen`.
    pub(super) fn since(&self, seen: usize) -> &[(String, Node)] {
        &self.kept[seen..]
    }
}
