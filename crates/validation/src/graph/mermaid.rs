//! The graph as a Mermaid flowchart.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::model::{EdgeKind, Graph};

/// A flowchart: a box for each Kustomization, with its releases inside. An arrow points from a dependency to
/// its dependent; a dotted one, from an owner to the Kustomization that it applies. Several clusters are side
/// by side.
pub fn mermaid(graphs: &[Graph]) -> String {
    let mut text = "flowchart LR\n".to_owned();
    let mut names = Names::default();
    for graph in graphs {
        match graphs {
            [_] => chart(&mut text, graph, &mut names, "  "),
            _ => {
                let _ = writeln!(text, "  subgraph {}[\"{}\"]", names.id(&graph.cluster), graph.cluster);
                chart(&mut text, graph, &mut names, "    ");
                text.push_str("  end\n");
            }
        }
    }
    text
}

fn chart(text: &mut String, graph: &Graph, names: &mut Names, indent: &str) {
    let ids: Vec<String> = graph.nodes.iter().map(|node| names.id(&format!("k-{}", node.name))).collect();
    let mut releases = Vec::new();
    for (node, id) in graph.nodes.iter().zip(&ids) {
        if node.releases.is_empty() {
            let _ = writeln!(text, "{indent}{id}[\"{}\"]", node.name);
            continue;
        }
        let _ = writeln!(text, "{indent}subgraph {id}[\"{}\"]", node.name);
        for release in &node.releases {
            let id = names.id(&format!("r-{}", release.name));
            let _ = writeln!(
                text,
                "{indent}  {id}(\"{}<br/>{} {}\")",
                release.name,
                release.chart,
                escaped(&release.version)
            );
            releases.push((id, release));
        }
        let _ = writeln!(text, "{indent}end");
    }
    for edge in graph.edges() {
        let arrow = match edge.kind {
            EdgeKind::DependsOn => "-->",
            EdgeKind::Applies => "-.->",
        };
        let _ = writeln!(text, "{indent}{} {arrow} {}", ids[edge.from], ids[edge.to]);
    }
    for (id, release) in &releases {
        for name in &release.after {
            if let Some((before, _)) = releases.iter().find(|(_, other)| other.name == *name) {
                let _ = writeln!(text, "{indent}{before} --> {id}");
            }
        }
    }
}

/// Mermaid would read the operators of a version range as HTML.
fn escaped(text: &str) -> String {
    text.replace('"', "#quot;").replace('<', "#lt;").replace('>', "#gt;")
}

/// Unique ids that Mermaid accepts: letters, digits and underscores.
#[derive(Default)]
struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    fn id(&mut self, name: &str) -> String {
        let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let mut id = plain.clone();
        let mut number = 2;
        while !self.taken.insert(id.clone()) {
            id = format!("{plain}_{number}");
            number += 1;
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::model::tests::example;

    #[test]
    fn releases_are_drawn_in_the_box_of_their_kustomization() {
        let expected = r#"flowchart LR
  k_flux_system["flux-system"]
  k_crds["crds"]
  subgraph k_cilium["cilium"]
    r_cilium("cilium<br/>cilium 1.0.0")
  end
  subgraph k_flux["flux"]
    r_flux_operator("flux-operator<br/>flux-operator 1.0.0")
    r_flux("flux<br/>flux 1.0.0")
  end
  k_tenants["tenants"]
  k_team_a_app["team-a/app"]
  k_flux_system -.-> k_crds
  k_crds --> k_cilium
  k_cilium --> k_flux
  k_crds --> k_tenants
  k_tenants -.-> k_team_a_app
  k_cilium --> k_team_a_app
  r_flux_operator --> r_flux
"#;
        assert_eq!(mermaid(&[example()]), expected);
    }

    #[test]
    fn clusters_stand_beside_each_other_with_ids_of_their_own() {
        let (one, mut other) = (example(), example());
        other.cluster = "apps".to_owned();
        let text = mermaid(&[one, other]);
        assert!(text.contains("  subgraph apps[\"apps\"]\n    k_flux_system_2[\"flux-system\"]"), "{text}");
        assert_eq!(text.matches("subgraph").count(), text.matches("end\n").count());
    }
}
