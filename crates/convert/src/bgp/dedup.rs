//! Objects of one kind that several may refer to: what is equal is kept once.

use super::names::Names;
use bootstrapper_core::yaml::written::Node;

#[derive(Default)]
pub(super) struct Dedup {
    pub(super) names: Names,
    kept: Vec<(String, Node)>,
}

impl Dedup {
    /// Keeps these specs, and says the name of each. One that is new is named after the policy; if
    /// there are several, after the peer that needs it, too.
    pub(super) fn keep(&mut self, policy: &str, specs: Vec<(String, Node)>) -> Vec<String> {
        let mut new: Vec<&Node> = Vec::new();
        for (_, spec) in &specs {
            let is_kept = self.kept.iter().any(|(_, kept)| kept.says_the_same(spec));
            if !is_kept && new.iter().all(|other| !other.says_the_same(spec)) {
                new.push(spec);
            }
        }
        let is_one = new.len() <= 1;
        specs.into_iter().map(|(peer, spec)| self.name_of(policy, &peer, spec, is_one)).collect()
    }

    fn name_of(&mut self, policy: &str, peer: &str, spec: Node, is_one: bool) -> String {
        if let Some((name, kept)) = self.kept.iter_mut().find(|(_, kept)| kept.says_the_same(&spec)) {
            kept.absorb_notes(spec);
            return name.clone();
        }
        let wanted = if is_one { policy.to_owned() } else { format!("{policy}-{peer}") };
        let name = self.names.unique(&wanted);
        self.kept.push((name.clone(), spec));
        name
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Those that came after the first `seen`.
    pub(super) fn since(&self, seen: usize) -> &[(String, Node)] {
        &self.kept[seen..]
    }
}
