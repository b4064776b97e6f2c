//! Migrates old objects to their replacements, in the original YAML: comments and `${…}` stay. Pure.

#![cfg_attr(not(test), deny(clippy::string_slice))]

mod bgp;

pub use bgp::{Converted, convert_bgp};
