//! Joins pipeline and repository into a graph of steps, every input rendered.
