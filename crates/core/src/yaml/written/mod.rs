//! YAML with its formatting: documents verbatim, values with their positions and comments. For code that
//! edits files; everything else uses `yaml`.

mod documents;
mod node;
mod read;
mod write;

pub use documents::{Document, documents};
pub use node::{Mark, Node, Scalar, Style, Value, flow_scalar};
pub use read::read;
pub use write::write;
