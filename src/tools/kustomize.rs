//! Kustomize: the program of that name, or kubectl's own.

use std::path::Path;

use super::Environment;
use super::program::{Call, Program};
use crate::failure::{Failure, Result};

/// Builds kustomizations, as Flux would.
#[derive(Debug)]
pub struct Kustomize {
    program: Program,
    verb: &'static str,
}

impl Kustomize {
    /// Finds `kustomize`, else `kubectl`.
    pub fn find(environment: &Environment) -> Result<Self> {
        let own = Program::find("kustomize", environment).map(|program| Self { program, verb: "build" });
        own.or_else(|| {
            Program::find("kubectl", environment).map(|program| Self { program, verb: "kustomize" })
        })
        .ok_or_else(|| {
            Failure::input("neither kustomize nor kubectl is installed")
                .hint("install one of them: they build what the repository declares")
        })
    }

    /// Which program this is, and what it sees: the same identity builds the same from the same.
    pub fn identity(&self) -> String {
        self.program.identity()
    }

    /// Where it was looked for, and what it sees.
    pub fn environment(&self) -> &Environment {
        &self.program.environment
    }

    /// Builds the kustomization in `folder`; YAML documents.
    pub async fn build(&self, folder: &Path) -> Result<String> {
        // Flux builds without load restrictions: bases above the folder are common.
        let call = Call::new([
            self.verb.as_ref(),
            "--load-restrictor=LoadRestrictionsNone".as_ref(),
            folder.as_os_str(),
        ])
        .about(&folder.display());
        let built = self.program.run(call).await?;
        String::from_utf8(built)
            .map_err(|_| Failure::input(format!("what {} builds to is no UTF-8", folder.display())))
    }
}
