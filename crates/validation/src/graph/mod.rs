//! What a cluster declares, as a picture: Kustomizations and releases in the order in which Flux can
//! do them. Pure: what was loaded goes in, text comes out.

mod layout;
mod mermaid;
mod model;
mod svg;
mod text;

pub use mermaid::mermaid;
pub use model::{Edge, EdgeKind, Graph, Node, Release};
pub use svg::svg;
pub use text::text;
