//! The graph model: Kustomizations, their dependencies, and the stage in which Flux can start each.

use std::collections::BTreeMap;

use bootstrapper_core::object::ObjectRef;
use bootstrapper_gitops::{Declared, Release as DeclaredRelease};

/// The graph of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    /// The cluster.
    pub cluster: String,
    /// Branch and commit.
    pub revision: Option<String>,
    /// Its Kustomizations, each after its parent.
    pub nodes: Vec<Node>,
}

/// A Kustomization.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// Its name, with the namespace if that differs from the root's.
    pub name: String,
    /// The stage in which Flux can start it, from 1: after its last dependency.
    pub stage: usize,
    /// The Kustomizations that it depends on.
    pub after: Vec<usize>,
    /// Its parent: the Kustomization that applies it; none for the root.
    pub parent: Option<usize>,
    /// Its releases, each after its dependencies.
    pub releases: Vec<Release>,
}

/// A release.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Release {
    /// The name of its HelmRelease.
    pub name: String,
    /// The namespace of its objects.
    pub namespace: String,
    /// Its chart.
    pub chart: String,
    /// The chart's version.
    pub version: String,
    /// The releases that it depends on.
    pub after: Vec<String>,
}

/// An ordering between two Kustomizations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// The earlier node.
    pub from: usize,
    /// The later node.
    pub to: usize,
    /// Its reason.
    pub kind: EdgeKind,
}

/// Why one Kustomization comes before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EdgeKind {
    /// The later one has it in `dependsOn`.
    DependsOn,
    /// It applies the later one.
    Applies,
}

impl Graph {
    /// The graph of a cluster's declaration.
    pub fn of(declared: &Declared) -> Self {
        let home = declared.sync.metadata.namespace.as_deref();
        let at: BTreeMap<&ObjectRef, usize> =
            declared.kustomizations.iter().enumerate().map(|(at, one)| (&one.id, at)).collect();
        let parents: BTreeMap<ObjectRef, usize> = declared
            .kustomizations
            .iter()
            .enumerate()
            .flat_map(|(at, one)| one.objects.iter().map(move |object| (ObjectRef::of(object), at)))
            .collect();
        let nodes = declared.kustomizations.iter().map(|one| Node {
            name: shown(&one.id, home),
            stage: 0,
            after: one.depends_on.iter().filter_map(|id| at.get(id).copied()).collect(),
            parent: parents.get(&one.id).copied().filter(|parent| *parent != at[&one.id]),
            releases: declared
                .releases
                .iter()
                .filter(|release| release.kustomization == one.id)
                .map(release)
                .collect(),
        });
        Self::staged(declared.cluster.clone(), declared.revision.clone(), nodes.collect())
    }

    /// Computes the stage of every node, and orders its releases.
    pub(super) fn staged(cluster: String, revision: Option<String>, mut nodes: Vec<Node>) -> Self {
        let waits: Vec<Vec<usize>> =
            nodes.iter().map(|node| node.after.iter().copied().chain(node.parent).collect()).collect();
        for (node, stage) in nodes.iter_mut().zip(stages(&waits)) {
            node.stage = stage;
            let at: BTreeMap<String, usize> =
                node.releases.iter().enumerate().map(|(at, one)| (one.name.clone(), at)).collect();
            let waits: Vec<Vec<usize>> = node
                .releases
                .iter()
                .map(|one| one.after.iter().filter_map(|name| at.get(name).copied()).collect())
                .collect();
            let mut releases: Vec<_> = stages(&waits).into_iter().zip(node.releases.drain(..)).collect();
            releases.sort_by_key(|(stage, _)| *stage);
            node.releases = releases.into_iter().map(|(_, release)| release).collect();
        }
        Self { cluster, revision, nodes }
    }

    /// The nodes of each stage, in declaration order.
    pub fn stages(&self) -> Vec<Vec<usize>> {
        let last = self.nodes.iter().map(|node| node.stage).max().unwrap_or(0);
        (1..=last)
            .map(|stage| (0..self.nodes.len()).filter(|at| self.nodes[*at].stage == stage).collect())
            .collect()
    }

    /// How many Kustomizations a node applies.
    pub fn child_count(&self, at: usize) -> usize {
        self.nodes.iter().filter(|node| node.parent == Some(at)).count()
    }

    /// The edges to draw. An edge from the owner is omitted if it is implied: the node depends on a sibling
    /// with the same owner.
    pub fn edges(&self) -> Vec<Edge> {
        let mut edges = Vec::new();
        for (to, node) in self.nodes.iter().enumerate() {
            let has_sibling = node.after.iter().any(|one| self.nodes[*one].parent == node.parent);
            if let Some(from) = node.parent
                && !has_sibling
                && !node.after.contains(&from)
            {
                edges.push(Edge { from, to, kind: EdgeKind::Applies });
            }
            edges.extend(node.after.iter().map(|from| Edge { from: *from, to, kind: EdgeKind::DependsOn }));
        }
        edges
    }
}

fn shown(id: &ObjectRef, home: Option<&str>) -> String {
    match id.namespace.as_deref() {
        Some(namespace) if Some(namespace) != home => format!("{namespace}/{}", id.name),
        _ => id.name.clone(),
    }
}

fn release(release: &DeclaredRelease) -> Release {
    let home = release.id.namespace.as_deref();
    Release {
        name: release.id.name.clone(),
        namespace: release.release_namespace.clone(),
        chart: release.chart.name().to_owned(),
        version: release.chart.version_text().to_owned(),
        after: release.depends_on.iter().map(|id| shown(id, home)).collect(),
    }
}

/// The longest path to each node, plus one. A cycle, which never becomes ready, is cut where it closes.
fn stages(waits: &[Vec<usize>]) -> Vec<usize> {
    fn stage(at: usize, waits: &[Vec<usize>], known: &mut [Option<usize>]) -> usize {
        if let Some(known) = known[at] {
            return known;
        }
        known[at] = Some(0);
        let longest = waits[at].iter().map(|before| stage(*before, waits, known)).max().unwrap_or(0);
        known[at] = Some(longest + 1);
        longest + 1
    }
    let mut known = vec![None; waits.len()];
    (0..waits.len()).map(|at| stage(at, waits, &mut known)).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn node(name: &str, parent: Option<usize>, after: &[usize], releases: &[(&str, &[&str])]) -> Node {
        let release = |(name, after): &(&str, &[&str])| Release {
            name: (*name).to_owned(),
            namespace: "kube-system".to_owned(),
            chart: (*name).to_owned(),
            version: "1.0.0".to_owned(),
            after: after.iter().map(|name| (*name).to_owned()).collect(),
        };
        Node {
            name: name.to_owned(),
            stage: 0,
            after: after.to_vec(),
            parent,
            releases: releases.iter().map(release).collect(),
        }
    }

    /// The root applies four; `tenants` applies one more, which depends on a sibling of its parent.
    pub(crate) fn example() -> Graph {
        let nodes = vec![
            node("flux-system", None, &[], &[]),
            node("crds", Some(0), &[], &[]),
            node("cilium", Some(0), &[1], &[("cilium", &[])]),
            node("flux", Some(0), &[2], &[("flux", &["flux-operator"]), ("flux-operator", &[])]),
            node("tenants", Some(0), &[1], &[]),
            node("team-a/app", Some(4), &[2], &[]),
        ];
        Graph::staged("infra".to_owned(), Some("main@3f2c1ab".to_owned()), nodes)
    }

    #[test]
    fn everything_is_drawn_after_its_dependencies() {
        let graph = example();
        let stages: Vec<_> = graph.nodes.iter().map(|node| node.stage).collect();
        assert_eq!(stages, [1, 2, 3, 4, 3, 4]);
        assert_eq!(graph.stages(), [vec![0], vec![1], vec![2, 4], vec![3, 5]]);
        let releases: Vec<_> = graph.nodes[3].releases.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(releases, ["flux-operator", "flux"]);
    }

    #[test]
    fn an_owner_edge_is_drawn_once() {
        let edges = example().edges();
        let brought: Vec<_> = edges.iter().filter(|edge| edge.kind == EdgeKind::Applies).collect();
        assert_eq!(brought.iter().map(|edge| (edge.from, edge.to)).collect::<Vec<_>>(), [(0, 1), (4, 5)]);
        assert_eq!(edges.len() - brought.len(), 4);
    }

    #[test]
    fn a_circle_ends() {
        assert_eq!(stages(&[vec![1], vec![0], vec![1]]), [2, 1, 2]);
    }
}
