//! Old objects into new ones, in the YAML that people wrote: comments and `${…}` stay. Pure.

mod bgp;

pub use bgp::{Converted, convert_bgp};
