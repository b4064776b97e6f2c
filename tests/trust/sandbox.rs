//! A sandbox is its owner's alone.
