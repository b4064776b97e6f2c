//! YAML as people write it: documents as they stand, values with their places and their comments.
//! For what reads a file to change it; all else reads through `yaml`.

mod documents;
mod node;
mod read;
mod write;

pub use documents::{Document, documents};
pub use node::{Mark, Node, Scalar, Style, Value, flow_scalar};
pub use read::read;
pub use write::write;
