//! The lifecycle of a container: pulled, configured, started, probed, and restarted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::needs::{self, Pull};
use super::reporter::{State, StatusReporter, now};
use crate::kubelet::{environment_of, log_file};
use crate::process::{Process, ProcessSpec};
use crate::site::Site;
use bootstrapper_core::object::{Object, ObjectRef};

/// The final state of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Well,
    Badly,
}

/// The pod's restartPolicy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restart {
    Always,
    OnFailure,
    Never,
}

impl Restart {
    pub(super) fn of(pod: &Object) -> Self {
        match pod.data["spec"]["restartPolicy"].as_str() {
            Some("Never") => Self::Never,
            Some("OnFailure") => Self::OnFailure,
            _ => Self::Always,
        }
    }
}

/// A kubelet's back-off, and ours: rehearsals have less time.
const FIRST_BACKOFF: u64 = 10;
const LONGEST_BACKOFF: u64 = 300;
const SHORTENED_BY: u64 = 5;
const AGAIN: Duration = Duration::from_secs(2);
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// Runs a container until it completes, which may never happen.
pub(super) async fn run(
    site: &Site,
    pod: &Object,
    container: &Value,
    reporter: &StatusReporter<'_>,
    restart: Restart,
) -> End {
    let name = container["name"].as_str().unwrap_or_default();
    pull(container, reporter).await;
    let mut backoff = 0;
    loop {
        let environment = configured(site, pod, container, reporter).await;
        let began = now();
        let code = match start(site, pod, container, environment) {
            Err(why) => {
                reporter.ended(name, (128, "StartError", &why), &began).await;
                reporter.events.warn("Failed", &format!("Error: {why}")).await;
                128
            }
            Ok(mut process) => {
                reporter.set(name, State::Running { since: began.clone() }).await;
                let code = tokio::select! {
                    status = process.wait() => status.ok().and_then(|status| status.code()).unwrap_or(137),
                    never = probe(site, container, reporter) => match never {},
                };
                reporter.ended(name, (code, if code == 0 { "Completed" } else { "Error" }, ""), &began).await;
                code
            }
        };
        match (restart, code) {
            (Restart::Never | Restart::OnFailure, 0) => return End::Well,
            (Restart::Never, _) => return End::Badly,
            (Restart::Always | Restart::OnFailure, _) => {}
        }
        reporter.restarts(name);
        if backoff > 0 {
            let id = ObjectRef::of(pod);
            let uid = pod.metadata.uid.as_deref().unwrap_or_default();
            let namespace = id.namespace.as_deref().unwrap_or_default();
            let of = format!("container={name} pod={}_{namespace}({uid})", id.name);
            let message = format!("back-off {backoff}s restarting failed {of}");
            reporter
                .events
                .warn(
                    "BackOff",
                    &format!(
                        "Back-off restarting failed container {name} in pod {}_{namespace}({uid})",
                        id.name
                    ),
                )
                .await;
            reporter.set(name, State::Waiting { reason: "CrashLoopBackOff", message }).await;
            tokio::time::sleep(Duration::from_secs(backoff / SHORTENED_BY)).await;
        }
        backoff = if backoff == 0 { FIRST_BACKOFF } else { (backoff * 2).min(LONGEST_BACKOFF) };
    }
}

/// Waits until the image is pulled.
async fn pull(container: &Value, reporter: &StatusReporter<'_>) {
    let image = container["image"].as_str().unwrap_or_default();
    let name = container["name"].as_str().unwrap_or_default();
    loop {
        reporter.events.say("Pulling", &format!("Pulling image \"{image}\"")).await;
        match needs::pull(image) {
            Pull::Done => {
                reporter.events.say("Pulled", &format!("Successfully pulled image \"{image}\" in 412ms (412ms including waiting). Image size: 4261574 bytes.")).await;
                return;
            }
            Pull::GoesOn => std::future::pending().await,
            Pull::Failed(why) => {
                reporter.events.warn("Failed", &format!("Failed to pull image \"{image}\": {why}")).await;
                reporter.events.warn("Failed", "Error: ErrImagePull").await;
                reporter.set(name, State::Waiting { reason: "ErrImagePull", message: why.clone() }).await;
                tokio::time::sleep(AGAIN).await;
                let message = format!("Back-off pulling image \"{image}\": ErrImagePull: {why}");
                reporter.events.say("BackOff", &format!("Back-off pulling image \"{image}\"")).await;
                reporter.set(name, State::Waiting { reason: "ImagePullBackOff", message }).await;
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

/// Resolves the environment, once all of its sources exist.
async fn configured(
    site: &Site,
    pod: &Object,
    container: &Value,
    reporter: &StatusReporter<'_>,
) -> BTreeMap<String, String> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let name = container["name"].as_str().unwrap_or_default();
    loop {
        match needs::missing_setting(site, container, namespace).await {
            Some(why) => {
                reporter.events.warn("Failed", &format!("Error: {why}")).await;
                reporter
                    .set(name, State::Waiting { reason: "CreateContainerConfigError", message: why })
                    .await;
            }
            None => match environment_of(site, pod, container, namespace).await {
                Ok(environment) => return environment,
                Err(failure) => tracing::error!(%failure, "cannot resolve the environment of a container"),
            },
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// The command with its arguments. Arguments alone are for an image's entrypoint, which this one lacks.
fn words(container: &Value) -> Vec<String> {
    let of = |key: &str| container[key].as_array().into_iter().flatten().filter_map(Value::as_str);
    let command: Vec<&str> = of("command").collect();
    let arguments = of("args").filter(|_| !command.is_empty());
    command.iter().copied().chain(arguments).map(str::to_owned).collect()
}

/// The program of a command, resolved like a container runtime does.
fn program(name: &str) -> Result<PathBuf, String> {
    which::which(name).map_err(|_| {
        format!("failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: \"{name}\": executable file not found in $PATH")
    })
}

fn start(
    site: &Site,
    pod: &Object,
    container: &Value,
    environment: BTreeMap<String, String>,
) -> Result<Process, String> {
    let id = ObjectRef::of(pod);
    let namespace = id.namespace.clone().unwrap_or_default();
    let mut words = words(container);
    if words.is_empty() {
        // The default command of an image without one.
        words = ["sleep", "infinity"].map(str::to_owned).into();
    }
    let program = program(&words.remove(0))?;
    let name = container["name"].as_str().unwrap_or_default();
    ProcessSpec {
        name: id.to_string(),
        program,
        arguments: words,
        environment,
        directory: site.folder.0.clone(),
        log: log_file(&site.folder, &namespace, &id.name, name),
        sandbox: site.folder.0.clone(),
    }
    .start()
    .map_err(|failure| failure.to_string())
}

/// Probes readiness while the container runs; without a probe, it is ready immediately.
async fn probe(site: &Site, container: &Value, reporter: &StatusReporter<'_>) -> std::convert::Infallible {
    let name = container["name"].as_str().unwrap_or_default();
    let command: Vec<&str> = container["readinessProbe"]["exec"]["command"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|word| word.as_str())
        .collect();
    loop {
        let answer = match command.split_first() {
            None => Ok(()),
            Some((program, arguments)) => ask(program, arguments, &site.folder.0).await,
        };
        if let Err(said) = &answer {
            reporter.events.probe_failed(said).await;
        }
        reporter.ready(name, answer.is_ok()).await;
        tokio::time::sleep(PROBE_EVERY).await;
    }
}

async fn ask(program: &str, arguments: &[&str], directory: &Path) -> Result<(), String> {
    let output = tokio::process::Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .kill_on_drop(true)
        .output()
        .await;
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            Err(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim().to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}
