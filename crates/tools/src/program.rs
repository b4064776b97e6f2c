//! One program: run to its end, what it writes kept.

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

/// How many of a failed program's last lines are told.
const LAST_LINES: usize = 6;

/// How many bytes of the beginning and of the end of what it says are read.
const WORDS: u64 = 128 * 1024;

/// A program that was found.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) name: String,
    path: PathBuf,
    pub(super) environment: Environment,
    pub(super) kind: Kind,
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
    /// What it sees of the environment.
    pub(super) seen: Seen,
    /// What a person knows it by; the program and its first argument if none.
    pub(super) name: Option<String>,
    /// What it works on, for a person to know.
    pub(super) subject: Option<String>,
    /// What it does, if that is not what the program usually does.
    pub(super) work: Option<Work>,
}

/// What a call sees of the environment.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// These and nothing else; what a program of its kind sees, if none.
    sealed: Option<Vec<(OsString, OsString)>>,
    /// Not these, whatever the environment has.
    without: &'static [&'static str],
    /// These besides.
    own: Vec<(&'static str, OsString)>,
}

/// What a program wrote, and whether it was content.
pub(super) struct Output {
    pub(super) succeeded: bool,
    /// The limit that it came to.
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

    /// It sees these variables and no others.
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
    /// Finds it, if it is there.
    pub(super) fn find(name: &str, environment: &Environment) -> Option<Self> {
        let path = environment.find(name)?;
        Some(Self { name: name.to_owned(), path, environment: environment.clone(), kind: Kind::of(name) })
    }

    /// Finds it where the environment has programs of its own, and not on PATH.
    pub(super) fn find_beside(name: &str, environment: &Environment) -> Option<Self> {
        let path = environment.find_beside(name)?;
        Some(Self { name: name.to_owned(), path, environment: environment.clone(), kind: Kind::of(name) })
    }

    /// Finds it, or says how to get it.
    pub(super) fn require(name: &str, environment: &Environment, hint: &str) -> Result<Self> {
        Self::find(name, environment).ok_or_else(|| {
            Failure::input(format!("{name} is not installed")).because("not found in PATH").hint(hint)
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

    /// Runs it to its end, however that is.
    ///
    /// It gets a process group of its own, so that a Ctrl-C at the terminal does not cut it off:
    /// a Helm that is killed leaves a release that nobody may touch. When the future is dropped it
    /// is asked to end, gently; nothing of it outlives this process (`guard`).
    pub(super) async fn output(&self, call: Call<'_>) -> Result<Output> {
        let shown = self.shown(&call);
        let not_run = |error: &std::io::Error| Failure::step(format!("cannot run {shown}")).caused_by(error);
        // What it writes for itself is private, too, and goes when it has ended.
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
            // As long as the program runs, not as long as somebody waits for it.
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
        // It is asked to end when this returns.
        let Some(output) = ended_in_time else {
            return Err(Exceeded::Time.failure(&shown, call.subject.as_deref(), work));
        };
        let output = output
            .map_err(|error| Failure::internal(format!("cannot wait for {shown}")).caused_by(&error))?
            .map_err(|error: std::io::Error| not_run(&error))?;
        drop(ended);
        Ok(output)
    }

    /// All variables that it sees.
    fn variables(
        &self,
        limits: Limits,
        temporary: Option<&Folder>,
        seen: Seen,
    ) -> HashMap<OsString, OsString> {
        let Seen { sealed, without, own } = seen;
        // Every program has a private folder, and a garbage collector that knows the limit.
        let folder = temporary.map(|folder| ("TMPDIR".into(), folder.path().into()));
        let memory = limits.go_memory().map(|memory| ("GOMEMLIMIT".into(), memory.into()));
        let usual = folder.into_iter().chain(memory);
        if let Some(sealed) = sealed {
            let marks = MARKS.iter().filter_map(|name| Some(((*name).into(), std::env::var_os(name)?)));
            return sealed.into_iter().chain(marks).chain(usual).collect();
        }
        let of_kind = environment_for(self.kind, std::env::vars_os(), &self.environment.withheld);
        // No plugin of the person's runs because a repository says so.
        let plugins = temporary.map(|one| ("HELM_PLUGINS".into(), one.path().join("no-plugins").into()));
        let of_run = self.environment.variables.iter().map(|(name, value)| (name.into(), value.into()));
        let mut all: HashMap<OsString, OsString> =
            of_kind.into_iter().chain(usual).chain(plugins).chain(of_run).collect();
        all.retain(|name, _| !without.iter().any(|unseen| name == unseen));
        all.extend(own.into_iter().map(|(name, value)| (name.into(), value)));
        all
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
        Ok((Self(private::anonymous()?), Self(private::anonymous()?)))
    }

    /// For the program to write to.
    fn handle(&self) -> std::io::Result<File> {
        self.0.try_clone()
    }

    /// All of it, once the program has ended; none if that is more than `most` bytes, which 0 does not
    /// limit.
    fn read(mut self, most: u64) -> std::io::Result<Option<Vec<u8>>> {
        if most > 0 && self.0.metadata()?.len() > most {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        self.0.rewind()?;
        self.0.read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// The end of it, where a program says why it failed, after its beginning, where Go does.
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
