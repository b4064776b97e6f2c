//! Programs: found with `which`, run with their output read.
