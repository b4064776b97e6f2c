//! What a repository may ask of the person's machine.
