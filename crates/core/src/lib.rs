//! Shared by all crates: objects, failures, verdicts, causes; output, and reading repository files.

#![cfg_attr(not(test), deny(clippy::string_slice))]

pub mod cause;
pub mod digest;
pub mod failure;
pub mod files;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod masking;
pub mod object;
pub mod output;
pub mod private;
pub mod selector;
pub mod verdict;
pub mod words;
pub mod yaml;
