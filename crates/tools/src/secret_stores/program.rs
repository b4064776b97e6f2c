//! Any program that prints a secret.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::secret_line;
use crate::Environment;
use crate::limits::Work;
use crate::program::{Call, Program};
use crate::variables::Kind;
use bootstrapper_core::failure::{Failure, Result};

/// The maximum size of a secret.
const LARGEST: usize = 1024 * 1024;

/// A user's program that prints a secret, run in the repository.
#[derive(Debug)]
pub struct SecretProgram {
    program: Program,
    arguments: Vec<String>,
    folder: PathBuf,
}

impl SecretProgram {
    /// Finds the program. A name with a slash is a path within the repository.
    pub fn find(argv: &[String], repository: &Path, environment: &Environment) -> Result<Self> {
        let Some((name, arguments)) = argv.split_first() else {
            return Err(Failure::input("the program has no name"));
        };
        let found =
            if name.contains('/') { repository.join(name).display().to_string() } else { name.clone() };
        let mut program = Program::require(&found, environment, "install it, or correct its name")?;
        program.name.clone_from(name);
        program.kind = Kind::Own;
        Ok(Self { program, arguments: arguments.to_vec(), folder: repository.to_owned() })
    }

    /// Runs it; its output, without the trailing line break, is the secret.
    pub async fn read(&self) -> Result<SecretString> {
        // A person may have to unlock something; the limit is the same as for `op`.
        let call = Call::new(&self.arguments).within(&self.folder).doing(Work::Person);
        let answer = self.program.run(call.named(self.program.name.clone())).await?;
        if answer.len() > LARGEST {
            return Err(Failure::input(format!("{} writes more than 1 MiB", self.program.name))
                .because("no Secret can hold it"));
        }
        secret_line(answer)
    }
}
