//! One program: run to its end, what it writes kept.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process_group};

use super::Environment;
use super::guard::guarded;
use crate::failure::{Failure, Result};

/// How many of a failed program's last lines are told.
const LAST_LINES: usize = 6;

/// A program that was found.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) name: String,
    path: PathBuf,
    pub(super) environment: Environment,
}

/// One call of a program.
#[derive(Debug, Default)]
pub(super) struct Call<'a> {
    pub(super) arguments: Vec<OsString>,
    /// Secrets go this way: other users see arguments.
    pub(super) stdin: Vec<u8>,
    pub(super) folder: Option<&'a Path>,
    /// The revision that it makes, if it is Helm at work on a release.
    pub(super) revision: Option<u64>,
    /// Variables for this call, beside those of the environment.
    pub(super) variables: Vec<(&'static str, OsString)>,
    /// All that it sees of the environment; what this process sees and more, if none.
    pub(super) sealed: Option<Vec<(OsString, OsString)>>,
    /// What a person knows it by; the program and its first argument if none.
    pub(super) name: Option<String>,
}

/// What a program wrote, and whether it was content.
pub(super) struct Output {
    pub(super) succeeded: bool,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
}

impl<'a> Call<'a> {
    pub(super) fn new(arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self { arguments: arguments.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    pub(super) fn stdin(mut self, bytes: Vec<u8>) -> Self {
        self.stdin = bytes;
        self
    }

    pub(super) fn variables(mut self, variables: Vec<(&'static str, OsString)>) -> Self {
        self.variables = variables;
        self
    }

    pub(super) fn making(mut self, revision: u64) -> Self {
        self.revision = Some(revision);
        self
    }

    /// It sees these variables and no others.
    pub(super) fn sealed(mut self, variables: Vec<(OsString, OsString)>) -> Self {
        self.sealed = Some(variables);
        self
    }

    pub(super) fn named(mut self, name: String) -> Self {
        self.name = Some(name);
        self
    }

    pub(super) fn within(mut self, folder: &'a Path) -> Self {
        self.folder = Some(folder);
        self
    }
}

impl Program {
    /// Finds it, if it is there.
    pub(super) fn find(name: &str, environment: &Environment) -> Option<Self> {
        let path = environment.find(name)?;
        Some(Self { name: name.to_owned(), path, environment: environment.clone() })
    }

    /// Finds it, or says how to get it.
    pub(super) fn require(name: &str, environment: &Environment, hint: &str) -> Result<Self> {
        Self::find(name, environment).ok_or_else(|| {
            Failure::input(format!("{name} is not installed")).because("it is not on PATH").hint(hint)
        })
    }

    /// Its path, when it was written, and the variables that it sees beside those of this process.
    pub(super) fn identity(&self) -> String {
        let written = std::fs::metadata(&self.path).and_then(|file| file.modified()).ok();
        format!("{}\n{written:?}\n{:?}", self.path.display(), self.environment.variables)
    }

    /// Runs it; a program that fails is a failure that tells its last words.
    pub(super) async fn run(&self, call: Call<'_>) -> Result<Vec<u8>> {
        let shown = self.shown(&call);
        let output = self.output(call).await?;
        if output.succeeded {
            return Ok(output.stdout);
        }
        let mut failure = Failure::step(format!("{shown} failed"));
        for line in last_lines(&output.stderr) {
            failure = failure.because(line);
        }
        Err(failure)
    }

    /// Runs it to its end, however that is.
    ///
    /// It gets a process group of its own, so that a Ctrl-C at the terminal does not cut it off:
    /// a Helm that is killed leaves a release that nobody may touch. When the future is dropped it
    /// is asked to end, gently; nothing of it outlives this process (`guard`).
    pub(super) async fn output(&self, call: Call<'_>) -> Result<Output> {
        let shown = self.shown(&call);
        let not_run =
            |error: &std::io::Error| Failure::step(format!("{shown} cannot be run")).caused_by(error);
        let (program, arguments) = guarded(call.revision, &self.path, call.arguments);
        let (stdout, stderr) = Written::pair().map_err(|error| not_run(&error))?;
        let mut expression = duct::cmd(program, arguments)
            .stdin_bytes(call.stdin)
            .stdout_file(stdout.handle().map_err(|error| not_run(&error))?)
            .stderr_file(stderr.handle().map_err(|error| not_run(&error))?)
            .unchecked()
            .before_spawn(|command| {
                command.process_group(0);
                Ok(())
            });
        match call.sealed {
            Some(variables) => expression = expression.full_env(variables),
            None => {
                for (name, value) in &self.environment.variables {
                    expression = expression.env(name, value);
                }
            }
        }
        for (name, value) in call.variables {
            expression = expression.env(name, value);
        }
        if let Some(folder) = call.folder {
            expression = expression.dir(folder);
        }
        let handle = Arc::new(expression.start().map_err(|error| not_run(&error))?);
        let ended = EndOnDrop(Arc::clone(&handle));
        let output = tokio::task::spawn_blocking(move || {
            let succeeded = handle.wait()?.status.success();
            let stderr = String::from_utf8_lossy(&stderr.read()?).into_owned();
            Ok(Output { succeeded, stdout: stdout.read()?, stderr })
        })
        .await
        .map_err(|error| Failure::internal(format!("{shown} was not waited for")).caused_by(&error))?
        .map_err(|error: std::io::Error| not_run(&error))?;
        drop(ended);
        Ok(output)
    }

    /// The program and its verb: what a person needs to know it by.
    fn shown(&self, call: &Call<'_>) -> String {
        if let Some(name) = &call.name {
            return name.clone();
        }
        let verb = call.arguments.first().map(|verb| verb.to_string_lossy().into_owned()).unwrap_or_default();
        format!("{} {verb}", self.name)
    }
}

fn last_lines(stderr: &str) -> Vec<String> {
    let lines: Vec<&str> = stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(LAST_LINES)..]
        .iter()
        .map(|line| line.strip_prefix("Error: ").unwrap_or(line).to_owned())
        .collect()
}

/// What a program writes: a file that has no name. A pipe would end with this process, and a program
/// that outlives it for a moment, to clean up, would die of its first word.
struct Written(File);

impl Written {
    fn pair() -> std::io::Result<(Self, Self)> {
        Ok((Self(tempfile::tempfile()?), Self(tempfile::tempfile()?)))
    }

    /// For the program to write to.
    fn handle(&self) -> std::io::Result<File> {
        self.0.try_clone()
    }

    /// All of it, once the program has ended.
    fn read(mut self) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.0.rewind()?;
        self.0.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

struct EndOnDrop(Arc<duct::Handle>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            for pid in self.0.pids() {
                if let Some(group) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                    let _ = kill_process_group(group, Signal::TERM);
                }
            }
        }
    }
}
