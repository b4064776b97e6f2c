//! Hostile input, played against the program as a person would run it. Whatever it reads, it ends within
//! seconds, with a documented exit code, in bounded memory; it runs nothing that the input names, and
//! shows nothing that lies outside of the repository.
//!
//! Each family makes inputs of one kind. The suite plays a share of each; all of them take minutes:
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

/// Of the program, and of each that it starts.
const MOST_MEMORY_KIB: i64 = 1024 * 1024;

/// The suite plays one of so many of each family, the first of them and always the same ones.
const SHARE: usize = 10;

fn families(world: &World) -> [Vec<Input>; 6] {
    [
        remotes::inputs(world),
        files::inputs(world),
        texts::inputs(),
        substitutions::inputs(world),
        kubeconfigs::inputs(world),
        mutations::inputs(),
    ]
}

#[test]
fn a_share_of_hostile_input_ends_soon_in_bounded_memory_and_does_nothing() {
    let world = World::new();
    let inputs: Vec<Input> =
        families(&world).into_iter().flat_map(|family| family.into_iter().step_by(SHARE)).collect();
    play(&world, &inputs);
}

#[test]
#[ignore = "takes minutes: cargo test --test hostile -- --ignored"]
fn hostile_input_ends_soon_in_bounded_memory_and_does_nothing() {
    let world = World::new();
    let mut inputs: Vec<Input> = families(&world).into_iter().flatten().collect();
    assert!(inputs.len() >= AT_LEAST, "only {}", inputs.len());
    if let Ok(words) = std::env::var("HOSTILE") {
        inputs.retain(|input| input.name.contains(&words));
    }
    play(&world, &inputs);
}

fn play(world: &World, inputs: &[Input]) {
    let outcome = play::all(world, inputs);
    let (computed, slowest) = &outcome.slowest;
    let (took, longest) = &outcome.longest;
    let (memory, largest) = &outcome.largest;
    eprintln!(
        "{} inputs, {} calls: {} panics, {} hangs, {} leaks, {} faults in all",
        inputs.len(),
        outcome.calls,
        outcome.panics,
        outcome.hangs,
        outcome.leaks,
        outcome.faults.len(),
    );
    eprintln!("most processor time: {:.1} s ({slowest})", computed.as_secs_f64());
    eprintln!("longest from start to end: {:.1} s ({longest})", took.as_secs_f64());
    eprintln!("most memory of one process: {} MiB ({largest})", memory / 1024);
    assert!(outcome.faults.is_empty(), "{} faults:\n{}", outcome.faults.len(), outcome.faults.join("\n"));
    assert!(*memory <= MOST_MEMORY_KIB, "{largest} took {} MiB", memory / 1024);
}
