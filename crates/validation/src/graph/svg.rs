//! The graph as an SVG drawing that is legible on light and dark backgrounds.

use std::fmt::Write as _;

use super::layout::{Layout, layout};
use super::model::{EdgeKind, Graph, Node};

/// The approximate width of a character in the fonts of the style sheet.
const CHARACTER: i32 = 8;
const LINE: i32 = 18;
const PADDING: i32 = 10;
const MARGIN: i32 = 20;
/// The height above the boxes of a cluster: its name, and the stage numbers.
const HEADING: i32 = 56;

const STYLE: &str = "\
    svg { color: #1f2328; background: #ffffff; }
    text { fill: currentColor; font: 13px ui-monospace, Menlo, Consolas, monospace; }
    .cluster { font-weight: bold; font-size: 16px; }
    .name { font-weight: bold; }
    .stage, .quiet { fill: #59636e; }
    rect { fill: #f6f8fa; stroke: #59636e; }
    path { fill: none; stroke: #59636e; stroke-width: 1.2; }
    path.applies { stroke-dasharray: 2 4; }
    marker path { fill: #59636e; stroke: none; }
    @media (prefers-color-scheme: dark) {
      svg { color: #f0f6fc; background: #0d1117; }
      .stage, .quiet { fill: #9198a1; }
      rect { fill: #151b23; stroke: #9198a1; }
      path { stroke: #9198a1; }
      marker path { fill: #9198a1; }
    }
";

/// A drawing: stages from left to right, a box for each Kustomization with its releases inside. An arrow points
/// from a dependency to its dependent; a dotted one, from an owner to the Kustomization that it applies.
/// Clusters are stacked.
pub fn svg(graphs: &[Graph]) -> String {
    let (mut body, mut width, mut top) = (String::new(), 0, MARGIN);
    for graph in graphs {
        let layout = lay(graph);
        draw(&mut body, graph, &layout, top);
        width = width.max(layout.width);
        top += HEADING + layout.height + 2 * MARGIN;
    }
    let (width, height) = (width + 2 * MARGIN, top.max(2 * MARGIN) - MARGIN);
    let names: Vec<&str> = graphs.iter().map(|graph| graph.cluster.as_str()).collect();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\">
  <title>Order in which Flux reconciles {}</title>
  <style>
{STYLE}  </style>
  <defs>
    <marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0 L8 4 L0 8 z\"/></marker>
  </defs>
{body}</svg>
",
        escaped(&names.join(", "))
    )
}

fn lay(graph: &Graph) -> Layout {
    let sizes: Vec<(i32, i32)> = graph.nodes.iter().map(size).collect();
    let columns: Vec<usize> = graph.nodes.iter().map(|node| node.stage.saturating_sub(1)).collect();
    // A drawing by stages omits the backward arrow of a cycle.
    let forward = |(from, to): &(usize, usize)| columns[*from] < columns[*to];
    let edges: Vec<(usize, usize)> =
        graph.edges().iter().map(|edge| (edge.from, edge.to)).filter(forward).collect();
    layout(&sizes, &columns, &edges)
}

fn size(node: &Node) -> (i32, i32) {
    let lines = lines(node);
    let widest = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    (length(widest) * CHARACTER + 2 * PADDING, length(lines.len()) * LINE + 2 * PADDING - LINE / 3)
}

/// The name, and a line for each release.
fn lines(node: &Node) -> Vec<String> {
    let releases = node.releases.iter().map(|release| {
        if release.chart == release.name {
            format!("{} {}", release.name, release.version)
        } else {
            format!("{} ({} {})", release.name, release.chart, release.version)
        }
    });
    std::iter::once(node.name.clone()).chain(releases).collect()
}

fn length(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX / 1024)
}

fn draw(body: &mut String, graph: &Graph, layout: &Layout, top: i32) {
    let revision = graph.revision.as_deref().unwrap_or_default();
    let _ = writeln!(
        body,
        "  <text x=\"{MARGIN}\" y=\"{}\"><tspan class=\"cluster\">{}</tspan> <tspan class=\"quiet\">{}</tspan></text>",
        top + 14,
        escaped(&graph.cluster),
        escaped(revision)
    );
    for (at, x) in layout.columns.iter().enumerate() {
        let _ = writeln!(
            body,
            "  <text class=\"stage\" x=\"{}\" y=\"{}\">{}</text>",
            x + MARGIN,
            top + HEADING - 12,
            at + 1
        );
    }
    let top = top + HEADING;
    let edges = graph.edges();
    let forward = edges.iter().filter(|edge| graph.nodes[edge.from].stage < graph.nodes[edge.to].stage);
    for (edge, route) in forward.zip(&layout.routes) {
        let class = match edge.kind {
            EdgeKind::DependsOn => "",
            EdgeKind::Applies => " class=\"applies\"",
        };
        let _ = writeln!(body, "  <path{class} d=\"{}\" marker-end=\"url(#head)\"/>", curve(route, top));
    }
    for (node, rect) in graph.nodes.iter().zip(&layout.boxes) {
        let (x, y) = (rect.x + MARGIN, rect.y + top);
        let _ = writeln!(
            body,
            "  <rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" rx=\"6\"/>",
            rect.width, rect.height
        );
        for (at, line) in lines(node).iter().enumerate() {
            let class = if at == 0 { " class=\"name\"" } else { "" };
            let _ = writeln!(
                body,
                "  <text{class} x=\"{}\" y=\"{}\">{}</text>",
                x + PADDING,
                y + PADDING + 11 + length(at) * LINE,
                escaped(line)
            );
        }
    }
}

/// A curve through the points, horizontal at both ends.
fn curve(route: &[(i32, i32)], top: i32) -> String {
    let points: Vec<(i32, i32)> = route.iter().map(|(x, y)| (x + MARGIN, y + top)).collect();
    let mut path = String::new();
    if let Some((x, y)) = points.first() {
        let _ = write!(path, "M{x} {y}");
    }
    for pair in points.windows(2) {
        let ((from_x, from_y), (x, y)) = (pair[0], pair[1]);
        let middle = i32::midpoint(from_x, x);
        if from_y == y {
            let _ = write!(path, " H{x}");
        } else {
            let _ = write!(path, " C{middle} {from_y} {middle} {y} {x} {y}");
        }
    }
    path
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::model::tests::example;

    #[test]
    fn every_box_and_every_arrow_is_drawn() {
        let graph = example();
        let drawing = svg(std::slice::from_ref(&graph));
        assert_eq!(drawing.matches("<rect ").count(), graph.nodes.len());
        assert_eq!(drawing.matches("marker-end").count(), graph.edges().len());
        assert!(drawing.contains(">flux-operator 1.0.0</text>"), "{drawing}");
        assert_eq!(drawing, svg(&[graph]), "the same graph is the same drawing");
    }

    #[test]
    fn what_xml_would_read_is_escaped() {
        let mut graph = example();
        graph.nodes[2].releases[0].version = ">=1.0 <2.0".to_owned();
        assert!(svg(&[graph]).contains("&gt;=1.0 &lt;2.0"));
    }
}
