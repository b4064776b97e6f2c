//! The text of `plan` and `status`: a header, and a row per step.

mod header;
mod plan;
mod rows;
mod status;

pub use header::{Header, header_text};
pub use plan::{PlanLine, plan_text};
pub use status::{StatusLine, status_text};
