//! Is an object ready? Pure functions of objects: no I/O, no clock that is not passed in.

mod verdict;

pub use verdict::Verdict;
