//! Folders and files that only their owner can open.
