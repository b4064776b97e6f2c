//! What is downloaded is what was pinned.
