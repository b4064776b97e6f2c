//! Walks from a symptom along what it waits for to the deepest finding.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::Finding;
use super::origin;
use super::redact::redacted;
use super::rules;
use super::scene::{Inquiry, Known, Question, Scene};
use bootstrapper_core::cause::Cause;
use bootstrapper_core::object::{Object, ObjectRef};

/// How many objects a chain may have. Longer ones are cycles.
const LONGEST_CHAIN: usize = 14;
/// How many of several names are listed; the rest is a number.
const MOST_NAMED: usize = 3;

/// The result of a walk.
#[derive(Debug)]
pub struct Diagnosis {
    /// Root causes; those that block the most first, and those in progress last.
    pub causes: Vec<Cause>,
    /// The questions whose answers would reveal more.
    pub questions: BTreeSet<Question>,
}

/// The start of a walk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Symptoms {
    /// Objects that are not ready, or may not be.
    pub objects: Vec<ObjectRef>,
    /// A rejected request: its description, and the API server's message.
    pub refusal: Option<(String, String)>,
}

/// Walks from each symptom to its root causes. The same root of several symptoms is reported once.
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
        (finding.transient, rules::is_vague(finding), std::cmp::Reverse(root.blocks.len()))
    });
    let causes = roots.into_iter().map(|root| root.into_cause(&inquiry)).collect();
    Diagnosis { causes, questions: inquiry.into_questions() }
}

/// A finding, and the path to it: from the waiting object to the faulty one.
#[derive(Debug, Clone)]
struct Trail {
    way: Vec<ObjectRef>,
    finding: Finding,
    /// The group of similar objects: pods of one controller, nodes.
    kin: Option<String>,
    /// The members with the same finding.
    alike: BTreeSet<ObjectRef>,
}

impl Trail {
    fn to(object: Option<&Object>, way: Vec<ObjectRef>, finding: Finding) -> Self {
        Self { way, finding, kin: object.and_then(kin), alike: BTreeSet::new() }
    }

    /// The same finding on the same object, or on one that differs only in its name, such as
    /// replicas.
    fn is_same(&self, other: &Self) -> bool {
        let (Some(end), Some(other_end)) = (self.way.last(), other.way.last()) else { return false };
        let (one, other_one) = (&self.finding, &other.finding);
        let are_alike = self.are_kin(other) && one.transient == other_one.transient && one.about.is_none();
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

    /// Merges an equal trail. The longest path is kept.
    fn also(&mut self, other: Self) {
        let mut alike = std::mem::take(&mut self.alike);
        alike.extend(other.alike.iter().chain(self.way.last()).chain(other.way.last()).cloned());
        if other.way.len() > self.way.len() {
            *self = other;
        }
        self.alike = alike;
    }
}

/// Pods of one controller are replicas; many faulty nodes mostly have the same fault.
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
    /// The cause of a rejection: what it waits for, else its own message.
    fn refused(&mut self, what: &str, said: &str) -> Vec<Root> {
        let insight = rules::operation(self.inquiry, what, said);
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

    /// The deepest findings behind an object. A consequence of something in progress is in progress, too.
    fn trace(&mut self, id: &ObjectRef, above: &mut Vec<ObjectRef>) -> Vec<Trail> {
        if above.contains(id) || above.len() >= LONGEST_CHAIN {
            return Vec::new();
        }
        if let Some(known) = self.known.get(id) {
            return known.clone();
        }
        let (object, insight) = match self.inquiry.object(id) {
            Known::Found(object) => (Some(object), rules::inspect(self.inquiry, id, object)),
            // An object that is not there may still have somebody who should have made it.
            Known::Missing => (None, rules::absent(self.inquiry, id)),
            Known::Unknown => return Vec::new(),
        };
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
        let is_wrong = deeper.iter().any(|trail| !trail.finding.transient);
        let stands = own.iter().any(|trail| trail.finding.stands && !trail.finding.transient);
        let found = if deeper.is_empty() || (stands && !is_wrong) { own } else { deeper };
        // A result that a cycle truncated may be complete from another start.
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

    fn into_cause(self, inquiry: &Inquiry<'_>) -> Cause {
        let Self { trail: Trail { way, mut finding, mut alike, .. }, blocks } = self;
        let origins = way.iter().rev().flat_map(|id| origin::of(id, inquiry.found(id))).collect();
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
            finding = finding.evidence(format!("same for {}", others.join(", ")));
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
            transient: finding.transient,
        }
    }
}

/// The first names, and how many more there are.
fn few(mut names: Vec<String>) -> Vec<String> {
    if names.len() > MOST_NAMED + 1 {
        let more = names.len() - MOST_NAMED;
        names.truncate(MOST_NAMED);
        names.push(format!("and {more} more"));
    }
    names
}
