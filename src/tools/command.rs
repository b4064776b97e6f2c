//! A program of the user's own, as a task file names it.

use std::fmt;
use std::path::{Path, PathBuf};

use super::Environment;
use super::program::{Call, Program};
use super::variables::Kind;
use crate::failure::{Failure, Result};

/// A program of the user's own with its arguments, run in the repository.
#[derive(Debug, Clone)]
pub struct Command {
    program: Program,
    arguments: Vec<String>,
    folder: PathBuf,
}

impl Command {
    /// Finds the program. A name with a slash is a path within the repository.
    pub fn new(argv: &[String], repository: &Path, environment: &Environment) -> Result<Self> {
        let Some((name, arguments)) = argv.split_first() else {
            return Err(Failure::input("a command needs a program to run"));
        };
        let found =
            if name.contains('/') { repository.join(name).display().to_string() } else { name.clone() };
        let mut program = Program::require(&found, environment, "install it, or correct the task file")?;
        program.name.clone_from(name);
        program.kind = Kind::Own;
        Ok(Self { program, arguments: arguments.to_vec(), folder: repository.to_owned() })
    }

    /// Runs it. What it writes is not shown, unless it fails.
    pub async fn output(&self) -> Result<Vec<u8>> {
        self.program.run(Call::new(&self.arguments).within(&self.folder)).await
    }

    /// Runs it for its exit code.
    pub async fn succeeds(&self) -> Result<bool> {
        Ok(self.program.output(Call::new(&self.arguments).within(&self.folder)).await?.succeeded)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.program.name)?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {argument}"))
    }
}
