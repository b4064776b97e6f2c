//! The documentation is what it says: every page is in the book, every link and anchor leads somewhere, every command
//! parses with the real command line, every YAML block is a valid file, and the reference is that of the code.

mod blocks;
mod commands;
mod install;
mod links;
mod markdown;
mod page;
mod reference;
mod schema_page;
