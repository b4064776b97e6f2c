//! YAML as people write it: documents as they stand, values with their places and their comments.
//! For what reads a file to change it; all else reads through `yaml`.

mod documents;
mod node;
mod read;
mod write;

pub(crate) use documents::{Document, documents};
pub(crate) use node::{Mark, Node, Scalar, Style, Value};
pub(crate) use read::read;
pub(crate) use write::write;
