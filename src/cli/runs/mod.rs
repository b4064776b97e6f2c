//! The timelines of runs, in the state folder: recorded by a run, read by `report`.

mod recording;
mod store;

pub(super) use recording::{Recording, requests};
pub(super) use store::Store;
