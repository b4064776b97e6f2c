//! A user's command from a task file.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use super::program::{Call, Program};
use super::variables::Kind;
use super::{Environment, KubeAccess};
use bootstrapper_core::failure::{Failure, Result};

/// A user's command with its arguments, run in the repository.
#[derive(Debug, Clone)]
pub struct Command {
    program: Program,
    arguments: Vec<String>,
    folder: PathBuf,
    /// The name of the cluster.
    cluster: String,
}

impl Command {
    /// Finds the program. A name with a slash is a path within the repository.
    pub fn new(argv: &[String], repository: &Path, cluster: &str, environment: &Environment) -> Result<Self> {
        let Some((name, arguments)) = argv.split_first() else {
            return Err(Failure::input("the command is empty"));
        };
        let found =
            if name.contains('/') { repository.join(name).display().to_string() } else { name.clone() };
        let mut program = Program::require(&found, environment, "install it, or fix the task file")?;
        program.name.clone_from(name);
        program.kind = Kind::Own;
        Ok(Self {
            program,
            arguments: arguments.to_vec(),
            folder: repository.to_owned(),
            cluster: cluster.to_owned(),
        })
    }

    /// Runs it with a kubeconfig that contains only the cluster of the run. Its output is shown only if it
    /// fails.
    pub async fn output(&self, access: &KubeAccess) -> Result<Vec<u8>> {
        self.program.run(self.call(access)).await
    }

    /// Runs it for its exit code.
    pub async fn succeeds(&self, access: &KubeAccess) -> Result<bool> {
        Ok(self.program.output(self.call(access)).await?.succeeded)
    }

    /// The arguments.
    pub fn words(&self) -> Vec<String> {
        [self.program.name.clone()].into_iter().chain(self.arguments.iter().cloned()).collect()
    }

    /// The working directory.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn call(&self, access: &KubeAccess) -> Call<'_> {
        let mut variables: Vec<(&'static str, OsString)> = vec![
            ("BOOTSTRAPPER_CLUSTER", self.cluster.clone().into()),
            ("BOOTSTRAPPER_CONTEXT", access.context.clone().into()),
        ];
        if let Some(kubeconfig) = &access.kubeconfig {
            variables.push(("KUBECONFIG", kubeconfig.into()));
        }
        if let Some(cache) = &access.cache {
            variables.push(("KUBECACHEDIR", cache.into()));
        }
        let arguments = self.arguments.iter().map(|word| with_access(word, access));
        Call::new(arguments).within(&self.folder).variables(variables)
    }
}

/// An argument with the placeholders that only the run can replace: `{{context}}` and `{{kubeconfig}}`.
fn with_access(word: &str, access: &KubeAccess) -> OsString {
    let kubeconfig = access.kubeconfig.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
    word.replace("{{context}}", &access.context).replace("{{kubeconfig}}", &kubeconfig).into()
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.program.name)?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {argument}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_can_contain_the_kubeconfig_and_the_context_of_the_run() {
        let access =
            KubeAccess { kubeconfig: Some("/run/k".into()), context: "bootstrapper".into(), cache: None };
        for (word, expected) in [
            ("--context={{context}}", "--context=bootstrapper"),
            ("{{kubeconfig}}:{{context}}", "/run/k:bootstrapper"),
            ("{{other}} {kubeconfig}", "{{other}} {kubeconfig}"),
        ] {
            assert_eq!(with_access(word, &access), expected, "{word}");
        }
    }
}
