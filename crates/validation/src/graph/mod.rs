//! Dependency graphs of a cluster: Kustomizations and releases in the order in which Flux can reconcile them.
//! Pure: takes declarations, returns text.

mod layout;
mod mermaid;
mod model;
mod svg;
mod text;

pub use mermaid::mermaid;
pub use model::{Edge, EdgeKind, Graph, Node, Release};
pub use svg::svg;
pub use text::text;
