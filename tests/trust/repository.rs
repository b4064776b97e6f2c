//! Reading a repository runs nothing and reaches nothing.
