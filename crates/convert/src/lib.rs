//! Old objects into new ones, in the YAML that people wrote: comments and `${…}` stay. Pure.

#![cfg_attr(not(test), deny(clippy::string_slice))]

mod bgp;

pub use bgp::{Converted, convert_bgp};
