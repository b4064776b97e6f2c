//! From what is waited for to what it waits for, and on, to the deepest thing that is the matter.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::Finding;
use super::origin;
use super::redact::redacted;
use super::rules;
use super::scene::{Inquiry, Known, Question, Scene};
use bootstrapper_core::cause::Cause;
use bootstrapper_core::object::{Object, ObjectRef};

/// How many objects a chain may have. Longer ones go in circles by other names.
const LONGEST_CHAIN: usize = 14;
/// How many of several things of one kind are named; the rest is a number.
const MOST_NAMED: usize = 3;

/// What a walk came to.
#[derive(Debug)]
pub struct Diagnosis {
    /// Root causes, what blocks most first. What is only slow comes after what is wrong.
    pub causes: Vec<Cause>,
    /// What has to be known for more.
    pub questions: BTreeSet<Question>,
}

/// Where a walk begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Symptoms {
    /// Objects that are not ready, or may not be.
    pub objects: Vec<ObjectRef>,
    /// What was wanted and refused: what it was, and the API server's words.
    pub refusal: Option<(String, String)>,
}

/// Walks from each symptom to its root causes. The same root of several symptoms is told once.
pub fn diagnose(scene: &Scene, symptoms: &Symptoms) -> Diagnosis {
    let inquiry = Inquiry::of(scene);
    let mut walk = Walk { inquiry: &inquiry, known: BTreeMap::new() };
    let mut roots: Vec<Root> = Vec::new();
    if let Some((what, said)) = &symptoms.refusal {
        roots.extend(walk.refused(what, said));
    }
    for symptom in &symptoms.objects {
        for trail in walk.trace(symptom, &mut Vec::new()) {
            match roots.iter_mut().find(|root| root.trail.is_same(&trail)) {
                Some(root) => root.also(symptom, trail),
                None => roots.push(Root::of(symptom, trail)),
            }
        }
    }
    roots.sort_by_key(|root| {
        let finding = &root.trail.finding;
        (finding.passes, rules::is_vague(finding), std::cmp::Reverse(root.blocks.len()))
    });
    let causes = roots.into_iter().map(|root| root.told(&inquiry)).collect();
    Diagnosis { causes, questions: inquiry.into_questions() }
}

/// A finding, and the way to it: from the object that waits to the one that it is about.
#[derive(Debug, Clone)]
struct Trail {
    way: Vec<ObjectRef>,
    finding: Finding,
    /// Whose like suffer alike: pods of one controller, nodes.
    kin: Option<String>,
    /// Those of them that do.
    alike: BTreeSet<ObjectRef>,
}

impl Trail {
    fn to(object: &Object, way: Vec<ObjectRef>, finding: Finding) -> Self {
        Self { way, finding, kin: kin(object), alike: BTreeSet::new() }
    }

    /// The same trouble of the same object, or of another one that differs in its name only, as replicas
    /// do.
    fn is_same(&self, other: &Self) -> bool {
        let (Some(end), Some(other_end)) = (self.way.last(), other.way.last()) else { return false };
        let (one, other_one) = (&self.finding, &other.finding);
        let are_alike = self.are_kin(other) && one.passes == other_one.passes && one.about.is_none();
        one.code == other_one.code
            && one.about == other_one.about
            && ((end == other_end && one.cause == other_one.cause) || are_alike)
    }

    fn are_kin(&self, other: &Self) -> bool {
        let owner = |trail: &Self| trail.way.iter().rev().nth(1).cloned();
        let are_pods = |trail: &Self| trail.way.last().is_some_and(|end| end.kind == "Pod");
        let have_one_owner =
            are_pods(self) && are_pods(other) && owner(self).is_some() && owner(self) == owner(other);
        have_one_owner || (self.kin.is_some() && self.kin == other.kin)
    }

    /// Takes in another trail that is the same. The longest way tells most.
    fn also(&mut self, other: Self) {
        let mut alike = std::mem::take(&mut self.alike);
        alike.extend(other.alike.iter().chain(self.way.last()).chain(other.way.last()).cloned());
        if other.way.len() > self.way.len() {
            *self = other;
        }
        self.alike = alike;
    }
}

/// Pods of one controller are replicas; and what is the matter with many nodes is most often one thing.
fn kin(object: &Object) -> Option<String> {
    match object.types.as_ref()?.kind.as_str() {
        "Node" => Some("Node".to_owned()),
        "Pod" => {
            let owners = object.metadata.owner_references.iter().flatten();
            owners.filter(|owner| owner.controller == Some(true)).map(|owner| owner.uid.clone()).next()
        }
        _ => None,
    }
}

struct Walk<'a, 's> {
    inquiry: &'a Inquiry<'s>,
    known: BTreeMap<ObjectRef, Vec<Trail>>,
}

impl Walk<'_, '_> {
    /// What is behind a refusal: what it waits for, else its own words.
    fn refused(&mut self, what: &str, said: &str) -> Vec<Root> {
        let insight = rules::refusal(self.inquiry, said);
        let waits: Vec<Trail> =
            insight.waits_for.iter().flat_map(|next| self.trace(next, &mut Vec::new())).collect();
        let own = insight.findings.into_iter().map(|finding| Trail {
            way: Vec::new(),
            finding: finding.about(what),
            kin: None,
            alike: BTreeSet::new(),
        });
        let trails = if waits.is_empty() { own.collect() } else { waits };
        trails.into_iter().map(|trail| Root { trail, blocks: Vec::new() }).collect()
    }

    /// The deepest findings behind an object. What follows from something that is only slow is slow, too.
    fn trace(&mut self, id: &ObjectRef, above: &mut Vec<ObjectRef>) -> Vec<Trail> {
        if above.contains(id) || above.len() >= LONGEST_CHAIN {
            return Vec::new();
        }
        if let Some(known) = self.known.get(id) {
            return known.clone();
        }
        let Known::There(object) = self.inquiry.object(id) else { return Vec::new() };
        let insight = rules::look(self.inquiry, id, object);
        above.push(id.clone());
        let mut deeper: Vec<Trail> = Vec::new();
        for next in &insight.waits_for {
            for mut trail in self.trace(next, above) {
                trail.way.insert(0, id.clone());
                match deeper.iter_mut().find(|other| other.is_same(&trail)) {
                    Some(other) => other.also(trail),
                    None => deeper.push(trail),
                }
            }
        }
        above.pop();
        let here = |finding: Finding| Trail::to(object, vec![id.clone()], finding);
        let own: Vec<Trail> = insight.findings.into_iter().map(here).collect();
        let is_wrong = deeper.iter().any(|trail| !trail.finding.passes);
        let stands = own.iter().any(|trail| trail.finding.stands && !trail.finding.passes);
        let found = if deeper.is_empty() || (stands && !is_wrong) { own } else { deeper };
        // What was cut short by a circle may be told in full from elsewhere.
        if above.is_empty() || !found.is_empty() {
            self.known.insert(id.clone(), found.clone());
        }
        found
    }
}

struct Root {
    /// From the symptom to the root.
    trail: Trail,
    blocks: Vec<ObjectRef>,
}

impl Root {
    fn of(symptom: &ObjectRef, trail: Trail) -> Self {
        Self { trail, blocks: vec![symptom.clone()] }
    }

    fn also(&mut self, symptom: &ObjectRef, trail: Trail) {
        self.trail.also(trail);
        if !self.blocks.contains(symptom) {
            self.blocks.push(symptom.clone());
        }
    }

    fn told(self, inquiry: &Inquiry<'_>) -> Cause {
        let Self { trail: Trail { way, mut finding, mut alike, .. }, blocks } = self;
        let origins = way.iter().rev().flat_map(|id| origin::of(id, inquiry.there(id))).collect();
        let root = way.last().map(ToString::to_string).unwrap_or_default();
        let subject = finding.about.take().unwrap_or_else(|| root.clone());
        let mut chain: Vec<String> = way.iter().map(ToString::to_string).collect();
        if subject != root {
            chain.push(subject.clone());
        }
        let is_another = |block: &&ObjectRef| Some(*block) != way.last() && !alike.contains(*block);
        let blocks: Vec<String> = blocks.iter().filter(is_another).map(ToString::to_string).collect();
        alike.retain(|other| Some(other) != way.last());
        if !alike.is_empty() {
            let others = few(alike.iter().map(ToString::to_string).collect());
            finding = finding.evidence(format!("the same of {}", others.join(", ")));
        }
        let mut remedy = finding.remedy;
        remedy.push(finding.code.fix.to_owned());
        Cause {
            code: Some(finding.code.code.to_owned()),
            cause: redacted(&format!("{subject}: {}", finding.cause)),
            evidence: finding.evidence.iter().map(|fact| redacted(fact)).collect(),
            chain: if chain.len() > 1 { chain } else { Vec::new() },
            blocks: few(blocks),
            origins,
            declared_in: None,
            remedy,
            passes: finding.passes,
        }
    }
}

/// Some names, and how many more.
fn few(mut names: Vec<String>) -> Vec<String> {
    if names.len() > MOST_NAMED + 1 {
        let more = names.len() - MOST_NAMED;
        names.truncate(MOST_NAMED);
        names.push(format!("and {more} more"));
    }
    names
}
