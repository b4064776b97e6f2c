//! Hostile input, played against the program as a person would run it. Whatever it reads, it ends within
//! seconds, with a documented exit code, in bounded memory; it runs nothing that the input names, and
//! shows nothing that lies outside of the repository.
//!
//! Each family makes inputs of one kind. A play of all takes minutes, so that it is not a part of the suite:
//! `cargo test --test hostile -- --ignored --nocapture`. `HOSTILE=<words>` plays those whose name has these
//! words.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::format_collect,
    reason = "tests"
)]

#[path = "../common/mod.rs"]
mod common;
mod files;
mod input;
mod kubeconfigs;
mod mutations;
mod play;
mod remotes;
mod substitutions;
mod texts;
mod world;

use input::Input;
use world::World;

/// Fewer would not be worth the name.
const AT_LEAST: usize = 600;

/// Of the program and all that it starts.
const MOST_MEMORY_KIB: i64 = 1024 * 1024;

#[test]
#[ignore = "takes minutes: cargo test --test hostile -- --ignored"]
fn hostile_input_ends_soon_in_bounded_memory_and_does_nothing() {
    let world = World::new();
    let mut inputs: Vec<Input> = Vec::new();
    inputs.extend(remotes::inputs(&world));
    inputs.extend(files::inputs(&world));
    inputs.extend(texts::inputs());
    inputs.extend(substitutions::inputs(&world));
    inputs.extend(kubeconfigs::inputs(&world));
    inputs.extend(mutations::inputs());
    assert!(inputs.len() >= AT_LEAST, "only {}", inputs.len());
    if let Ok(words) = std::env::var("HOSTILE") {
        inputs.retain(|input| input.name.contains(&words));
    }

    let outcome = play::all(&world, &inputs);
    let peak =
        nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
    eprintln!(
        "{} inputs, {} calls, {} of them over 10 s; slowest {:.1} s ({}); at most {} MiB",
        inputs.len(),
        outcome.calls,
        outcome.slow,
        outcome.slowest.0.as_secs_f64(),
        outcome.slowest.1,
        peak / 1024,
    );
    assert!(outcome.faults.is_empty(), "{} faults:\n{}", outcome.faults.len(), outcome.faults.join("\n"));
    assert!(peak <= MOST_MEMORY_KIB, "a program took {} MiB", peak / 1024);
}
