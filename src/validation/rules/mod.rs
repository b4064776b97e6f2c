//! The rules, one file a family.

mod loading;
mod ownership;
mod silencing;

use super::Rule;

/// Every rule, by family, in the order in which they are told.
pub(super) const FAMILIES: &[&[Rule]] = &[loading::RULES, ownership::RULES, silencing::RULES];
