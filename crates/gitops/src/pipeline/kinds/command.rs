//! Runs a program of the user.

use super::{Applies, Awaits, Kind, stem};
use crate::Declared;
use bootstrapper_core::failure::Result;

/// Runs a program from the repository or PATH: the program and its arguments.
#[derive(Debug, Clone)]
pub struct CommandSpec(pub Vec<String>);

impl Kind for CommandSpec {
    type Written = Vec<String>;

    fn read(written: Self::Written) -> Result<Self, String> {
        Ok(Self(written))
    }

    fn name(&self) -> String {
        format!("command-{}", self.0.first().map_or("", |program| stem(program)))
    }

    fn applies(&self) -> Applies<'_> {
        Applies::Program
    }

    fn awaits(&self) -> Awaits<'_> {
        Awaits::Nothing
    }

    fn check(&self, _: &Declared) -> Result<()> {
        Ok(())
    }
}
