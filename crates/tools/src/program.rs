//! Runs one program, and captures its output.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process_group};

use super::Environment;
use super::guard::guarded;
use super::limits::{Exceeded, Limits, Work};
use super::variables::{Kind, MARKS, environment_for};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::private::{self, Folder};

/// How many of a failed program's last lines to show.
const LAST_LINES: usize = 6;

/// How many bytes of the beginning and of the end of its output to read.
const WORDS: u64 = 128 * 1024;

/// A program that was found.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) name: String,
    path: PathBuf,
    pub(super) environment: Environment,
    pub(super) kind: Kind,
}

/// A call of a program.
#[derive(Debug, Default)]
pub(super) struct Call<'a> {
    pub(super) arguments: Vec<OsString>,
    /// Secrets are passed through stdin: other users can see arguments.
    pub(super) stdin: Vec<u8>,
    pub(super) folder: Option<&'a Path>,
    /// The revision that it creates, if it is a Helm operation.
    pub(super) revision: Option<u64>,
    /// Its environment.
    pub(super) seen: Seen,
    /// Its display name; by default the program and its first argument.
    pub(super) name: Option<String>,
    /// Its subject, for display.
    pub(super) subject: Option<String>,
    /// The kind of call, if it is not the program's usual one.
    pub(super) work: Option<Work>,
}

/// The environment of a call.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Exactly these; by default those of its kind of program.
    sealed: Option<Vec<(OsString, OsString)>>,
    /// Not these, whatever the environment has.
    without: &'static [&'static str],
    /// These additionally.
    own: Vec<(&'static str, OsString)>,
}

/// The output of a program, and whether it succeeded.
pub(super) struct Output {
    pub(super) succeeded: bool,
    /// The limit that it exceeded.
    exceeded: Option<Exceeded>,
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
        self.seen.own = variables;
        self
    }

    pub(super) fn without(mut self, names: &'static [&'static str]) -> Self {
        self.seen.without = names;
        self
    }

    pub(super) fn making(mut self, revision: u64) -> Self {
        self.revision = Some(revision);
        self
    }

    /// Sets its complete environment.
    pub(super) fn sealed(mut self, variables: Vec<(OsString, OsString)>) -> Self {
        self.seen.sealed = Some(variables);
        self
    }

    pub(super) fn named(mut self, name: String) -> Self {
        self.name = Some(name);
        self
    }

    pub(super) fn about(mut self, subject: &impl ToString) -> Self {
        self.subject = Some(subject.to_string());
        self
    }

    pub(super) fn doing(mut self, work: Work) -> Self {
        self.work = Some(work);
        self
    }

    pub(super) fn within(mut self, folder: &'a Path) -> Self {
        self.folder = Some(folder);
        self
    }
}

impl Program {
    /// Finds it, if it is installed.
    pub(super) fn find(name: &str, environment: &Environment) -> Option<Self> {
        let path = environment.find(name)?;
        Some(Self { name: name.to_owned(), path, environment: environment.clone(), kind: Kind::of(name) })
    }

    /// Finds it in the environment's own folders, not on PATH.
    pub(super) fn find_beside(name: &str, environment: &Environment) -> Option<Self> {
        let path = environment.find_beside(name)?;
        Some(Self { name: name.to_owned(), path, environment: environment.clone(), kind: Kind::of(name) })
    }

    /// Finds it, or fails with how to install it.
    pub(super) fn require(name: &str, environment: &Environment, hint: &str) -> Result<Self> {
        Self::find(name, environment).ok_or_else(|| {
            Failure::input(format!("{name} is not installed")).because("not found in PATH").hint(hint)
        })
    }

    /// Its path, its modification time, and its additional variables.
    pub(super) fn identity(&self) -> String {
        let written = std::fs::metadata(&self.path).and_then(|file| file.modified()).ok();
        format!("{}\n{written:?}\n{:?}", self.path.display(), self.environment.variables)
    }

    /// Runs it; the error contains its last lines of output.
    pub(super) async fn run(&self, call: Call<'_>) -> Result<Vec<u8>> {
        let shown = self.shown(&call);
        let (subject, work) = (call.subject.clone(), call.work.unwrap_or(self.kind.work()));
        let output = self.output(call).await?;
        if let Some(exceeded) = output.exceeded {
            return Err(exceeded.failure(&shown, subject.as_deref(), work));
        }
        if output.succeeded {
            return Ok(output.stdout);
        }
        let mut failure = Failure::step(format!("{shown} failed"));
        for line in last_lines(&output.stderr) {
            failure = failure.because(line);
        }
        Err(failure)
    }

    /// Runs it until it exits, successfully or not.
    ///
    /// It gets its own process group, so that Ctrl-C at the terminal does not interrupt it: a killed Helm
    /// leaves a locked release. When the future is dropped it is terminated gracefully; nothing of it
    /// outlives this process (`guard`).
    pub(super) async fn output(&self, call: Call<'_>) -> Result<Output> {
        let shown = self.shown(&call);
        let not_run = |error: &std::io::Error| Failure::step(format!("cannot run {shown}")).caused_by(error);
        // Its temporary files are private, too, and deleted when it has exited.
        let temporary = if self.kind.keeps_files() { None } else { Some(Folder::new()?) };
        let work = call.work.unwrap_or(self.kind.work());
        let limits = Limits::of(work);
        let variables = self.variables(limits, temporary.as_ref(), call.seen);
        let (program, arguments) = guarded(call.revision, limits, &self.path, call.arguments);
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
        expression = expression.full_env(variables);
        if let Some(folder) = call.folder {
            expression = expression.dir(folder);
        }
        let handle = Arc::new(expression.start().map_err(|error| not_run(&error))?);
        let ended = EndOnDrop(Arc::clone(&handle));
        let running = tokio::task::spawn_blocking(move || {
            // As long as the program runs, even if nothing waits for it.
            let _temporary = temporary;
            let status = handle.wait()?.status;
            let stderr = stderr.last_words()?;
            let stdout = stdout.read(limits.output())?;
            let exceeded = match (status.success(), &stdout) {
                (true, Some(_)) => None,
                (_, None) => Some(Exceeded::Output),
                (false, _) => Exceeded::by(status.code(), &stderr),
            };
            Ok(Output { succeeded: status.success(), exceeded, stdout: stdout.unwrap_or_default(), stderr })
        });
        let ended_in_time = match work.time() {
            Some(limit) => tokio::time::timeout(limit, running).await.ok(),
            None => Some(running.await),
        };
        // It is terminated when this returns.
        let Some(output) = ended_in_time else {
            return Err(Exceeded::Time.failure(&shown, call.subject.as_deref(), work));
        };
        let output = output
            .map_err(|error| Failure::internal(format!("cannot wait for {shown}")).caused_by(&error))?
            .map_err(|error: std::io::Error| not_run(&error))?;
        drop(ended);
        Ok(output)
    }

    /// All of its environment variables.
    fn variables(
        &self,
        limits: Limits,
        temporary: Option<&Folder>,
        seen: Seen,
    ) -> HashMap<OsString, OsString> {
        let Seen { sealed, without, own } = seen;
        // Every program has a private folder, and a garbage collector limit.
        let folder = temporary.map(|folder| ("TMPDIR".into(), folder.path().into()));
        let memory = limits.go_memory().map(|memory| ("GOMEMLIMIT".into(), memory.into()));
        let usual = folder.into_iter().chain(memory);
        if let Some(sealed) = sealed {
            let marks = MARKS.iter().filter_map(|name| Some(((*name).into(), std::env::var_os(name)?)));
            return sealed.into_iter().chain(marks).chain(usual).collect();
        }
        let of_kind = environment_for(self.kind, std::env::vars_os(), &self.environment.withheld);
        // A repository must not make the user's plugins run.
        let plugins = temporary.map(|one| ("HELM_PLUGINS".into(), one.path().join("no-plugins").into()));
        let of_run = self.environment.variables.iter().map(|(name, value)| (name.into(), value.into()));
        let mut all: HashMap<OsString, OsString> =
            of_kind.into_iter().chain(usual).chain(plugins).chain(of_run).collect();
        all.retain(|name, _| !without.iter().any(|unseen| name == unseen));
        all.extend(own.into_iter().map(|(name, value)| (name.into(), value)));
        all
    }

    /// The program and its first argument, for display.
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

/// The output of a program, in an anonymous file. A pipe would close with this process, and a program that
/// cleans up afterwards would be killed by its first output.
struct Written(File);

impl Written {
    fn pair() -> std::io::Result<(Self, Self)> {
        Ok((Self(private::anonymous()?), Self(private::anonymous()?)))
    }

    /// The handle for the program.
    fn handle(&self) -> std::io::Result<File> {
        self.0.try_clone()
    }

    /// All of it, once the program has exited; none if it exceeds `most` bytes, where 0 is unlimited.
    fn read(mut self, most: u64) -> std::io::Result<Option<Vec<u8>>> {
        if most > 0 && self.0.metadata()?.len() > most {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        self.0.rewind()?;
        self.0.read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Its beginning, where Go reports errors, and its end, where other programs do.
    fn last_words(mut self) -> std::io::Result<String> {
        let length = self.0.metadata()?.len();
        let mut bytes = Vec::new();
        self.0.rewind()?;
        (&self.0).take(WORDS).read_to_end(&mut bytes)?;
        if length > 2 * WORDS {
            bytes.push(b'\n');
            self.0.seek(SeekFrom::End(-i64::try_from(WORDS).unwrap_or(i64::MAX)))?;
        }
        (&self.0).take(WORDS).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
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
