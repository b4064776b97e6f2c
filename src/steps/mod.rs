//! One file per kind of step: the four questions.
