//! The graph as text, for a terminal.

use std::fmt::Write as _;

use super::model::{Graph, Node, Release};
use bootstrapper_core::words::count;

/// The stages in the order in which Flux can reconcile them: each Kustomization with its dependencies, and its
/// releases with chart and version.
pub fn text(graph: &Graph) -> String {
    let releases = graph.nodes.iter().map(|node| node.releases.len()).sum::<usize>();
    let stages = graph.stages();
    let revision = graph.revision.as_ref().map(|revision| format!("  {revision}")).unwrap_or_default();
    let mut text = format!(
        "{}{revision}  {}, {}, {}\n\n",
        graph.cluster,
        count(graph.nodes.len(), "Kustomization"),
        count(releases, "release"),
        count(stages.len(), "stage"),
    );
    let wide = width(graph);
    for (number, stage) in stages.iter().enumerate() {
        for (place, at) in stage.iter().enumerate() {
            let node = &graph.nodes[*at];
            let number = if place == 0 { (number + 1).to_string() } else { String::new() };
            line(&mut text, &format!("{number:>2}  {:wide$}  {}", node.name, said(graph, *at, node)));
            for release in &node.releases {
                line(
                    &mut text,
                    &format!("      {:wide$}  {}", release.name, said_of(release), wide = wide - 2),
                );
            }
        }
    }
    text
}

fn width(graph: &Graph) -> usize {
    let nodes = graph.nodes.iter().map(|node| node.name.len());
    let releases = graph.nodes.iter().flat_map(|node| &node.releases).map(|release| release.name.len() + 2);
    nodes.chain(releases).max().unwrap_or(0)
}

fn line(text: &mut String, line: &str) {
    let _ = writeln!(text, "{}", line.trim_end());
}

fn said(graph: &Graph, at: usize, node: &Node) -> String {
    let mut said = Vec::new();
    if !node.after.is_empty() {
        let names: Vec<&str> = node.after.iter().map(|one| graph.nodes[*one].name.as_str()).collect();
        said.push(format!("after {}", names.join(", ")));
    }
    // The root as owner is omitted.
    if let Some(parent) = node.parent.map(|one| &graph.nodes[one])
        && parent.parent.is_some()
    {
        said.push(format!("applied by {}", parent.name));
    }
    match graph.child_count(at) {
        0 => {}
        number => said.push(format!("applies {}", count(number, "Kustomization"))),
    }
    said.join("; ")
}

fn said_of(release: &Release) -> String {
    let after = match release.after.as_slice() {
        [] => String::new(),
        names => format!(", after {}", names.join(", ")),
    };
    format!("{} {} in {}{after}", release.chart, release.version, release.namespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_stand_in_order_with_what_each_waits_for() {
        let expected = "\
infra  main@3f2c1ab  6 Kustomizations, 3 releases, 4 stages

 1  flux-system      applies 4 Kustomizations
 2  crds
 3  cilium           after crds
      cilium         cilium 1.0.0 in kube-system
    tenants          after crds; applies 1 Kustomization
 4  flux             after cilium
      flux-operator  flux-operator 1.0.0 in kube-system
      flux           flux 1.0.0 in kube-system, after flux-operator
    team-a/app       after cilium; applied by tenants
";
        assert_eq!(text(&super::super::model::tests::example()), expected);
    }
}
