//! Credential plugins of a kubeconfig (`users[].user.exec`): run as in kubectl, with a timeout; their output
//! is never shown.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use kube::config::{AuthInfo, ExecAuthCluster, ExecConfig, ExecInteractiveMode};
use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::kubeconfig::Entry;
use bootstrapper_core::failure::{Failure, FailureKind, Result, Retry};
use bootstrapper_core::masking;

/// The timeout of a non-interactive plugin.
const LIMIT: Duration = Duration::from_secs(8);
/// The timeout if a person may have to sign in.
const LIMIT_OF_A_PERSON: Duration = Duration::from_mins(5);
/// Overrides the timeout, in seconds.
const LIMIT_VARIABLE: &str = "BOOTSTRAPPER_CREDENTIALS_TIMEOUT";

/// The maximum size of the output.
const LONGEST: u64 = 1024 * 1024;

/// A plugin, as declared by a user entry.
#[derive(Debug, Clone)]
pub(super) struct Plugin {
    exec: ExecConfig,
    cluster: Option<ExecAuthCluster>,
    /// Variables of this process with secrets of other programs.
    withheld: BTreeSet<String>,
    /// `plugin aws of user u`.
    described: String,
    context: String,
}

/// The output of a plugin.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) token: Option<SecretString>,
    /// A certificate and its key, in PEM.
    pub(super) identity: Option<(String, SecretString)>,
    /// When it expires.
    pub(super) until: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Answer {
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    expiration_timestamp: Option<String>,
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

impl Plugin {
    /// The plugin of an entry, if it has one.
    pub(super) fn of(entry: &Entry, withheld: &BTreeSet<String>) -> Result<Option<Self>> {
        let Some(exec) = entry.user.exec.clone() else { return Ok(None) };
        let Some(command) = exec.command.as_deref().filter(|command| !command.is_empty()) else {
            return Err(entry.wrong_user("exec", "has no `command`"));
        };
        let cluster = exec
            .provide_cluster_info
            .then(|| ExecAuthCluster::try_from(&entry.cluster))
            .transpose()
            .map_err(|_| entry.wrong_cluster("certificate-authority", "cannot be read"))?;
        let described = format!("the credential plugin `{command}` of user `{}`", entry.user_name);
        let (context, withheld) = (entry.context.clone(), withheld.clone());
        Ok(Some(Self { exec, cluster, withheld, described, context }))
    }

    pub(super) fn failure(&self, why: impl std::fmt::Display) -> Failure {
        Failure::new(FailureKind::Connection, format!("no credentials for context `{}`", self.context))
            .because(format!("{} {why}", self.described))
    }

    /// Runs it.
    pub(super) async fn ask(&self) -> Result<Given> {
        let stdout = self.run().await?;
        // Its output is never shown, even if it is invalid.
        let answer: Answer = bootstrapper_core::yaml::from_str(&stdout, std::path::Path::new("stdout"))
            .map_err(|_| self.failure("did not return an ExecCredential"))?;
        let Some(status) = answer.status else {
            return Err(self.failure("returned an ExecCredential without a status"));
        };
        let until = status
            .expiration_timestamp
            .map(|until| until.parse())
            .transpose()
            .map_err(|_| self.failure("returned an invalid expirationTimestamp"))?;
        let identity = status.client_certificate_data.zip(status.client_key_data.map(SecretString::from));
        if let Some((_, key)) = &identity {
            masking::mark(key.expose_secret());
        }
        let token = status.token.filter(|token| !token.is_empty()).map(SecretString::from);
        if token.is_none() && identity.is_none() {
            return Err(self.failure("returned neither a token nor a certificate with its key"));
        }
        Ok(Given { token, identity, until })
    }

    async fn run(&self) -> Result<String> {
        // Only a person at a terminal can be prompted, and sees its messages.
        let is_interactive = self.exec.interactive_mode != Some(ExecInteractiveMode::Never)
            && std::io::stdin().is_terminal()
            && std::io::stderr().is_terminal();
        let limit = limit(is_interactive, std::env::var(LIMIT_VARIABLE).ok().as_deref());
        let mut command = Command::new(self.exec.command.as_deref().unwrap_or_default());
        command
            .args(self.exec.args.iter().flatten())
            .envs(
                self.exec.env.iter().flatten().filter_map(|one| Some((one.get("name")?, one.get("value")?))),
            )
            .env("KUBERNETES_EXEC_INFO", self.info(is_interactive))
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        // A variable that the kubeconfig itself sets is passed to the plugin.
        let is_set = |name: &&String| self.exec.env.iter().flatten().any(|one| one.get("name") == Some(name));
        for name in self.withheld.iter().filter(|name| !is_set(name)) {
            command.env_remove(name);
        }
        if is_interactive {
            command.stdin(Stdio::inherit()).stderr(Stdio::inherit());
        } else {
            command.stdin(Stdio::null()).stderr(Stdio::null()).process_group(0);
        }
        let mut child = command.spawn().map_err(|error| {
            let hint = self
                .exec
                .install_hint
                .clone()
                .unwrap_or_else(|| "install it, or use other credentials".to_owned());
            self.failure(format!("cannot start: {error}")).hint(hint)
        })?;
        let group =
            child.id().filter(|_| !is_interactive).and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let mut left = Left(group);
        let stdout = child.stdout.take();
        let ended = async {
            let mut bytes = Vec::new();
            if let Some(stdout) = stdout {
                stdout.take(LONGEST + 1).read_to_end(&mut bytes).await?;
            }
            if bytes.len() as u64 > LONGEST {
                return Ok((bytes, None));
            }
            let status = child.wait().await?;
            Ok::<(Vec<u8>, Option<ExitStatus>), std::io::Error>((bytes, Some(status)))
        };
        let ended = tokio::time::timeout(limit, ended).await;
        if matches!(ended, Ok(Ok((_, Some(_))))) {
            left.0 = None;
        }
        let by_hand = "run it manually to see its output";
        match ended {
            Err(_) => Err(self
                .failure(format!("did not finish within {} s", limit.as_secs()))
                .hint(by_hand)
                .hint(format!("if it needs longer, raise the limit with {LIMIT_VARIABLE}=60 (in seconds)"))),
            Ok(Err(error)) => Err(self.failure(format!("failed to run: {error}"))),
            Ok(Ok((_, None))) => Err(self.failure("writes too much output")),
            Ok(Ok((bytes, Some(status)))) if status.success() => {
                String::from_utf8(bytes).map_err(|_| self.failure("did not return an ExecCredential"))
            }
            // A service that it uses may be temporarily unavailable.
            Ok(Ok((_, Some(status)))) => {
                Err(self.failure(format!("failed with {status}")).hint(by_hand).retry(Retry::MayHelp))
            }
        }
    }

    /// The cluster information for the plugin.
    fn info(&self, is_interactive: bool) -> String {
        let version = self.exec.api_version.as_deref().unwrap_or("client.authentication.k8s.io/v1");
        let mut spec = json!({"interactive": is_interactive});
        if let Some(cluster) = &self.cluster {
            spec["cluster"] = json!(cluster);
        }
        json!({"apiVersion": version, "kind": "ExecCredential", "spec": spec}).to_string()
    }
}

/// Terminates a plugin that timed out, with its children, when dropped.
struct Left(Option<Pid>);

impl Drop for Left {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

fn limit(is_interactive: bool, said: Option<&str>) -> Duration {
    let usual = if is_interactive { LIMIT_OF_A_PERSON } else { LIMIT };
    said.and_then(|said| said.trim_end_matches('s').parse().ok()).map_or(usual, Duration::from_secs)
}

impl Given {
    /// Stores its certificate like one of the kubeconfig.
    pub(super) fn identify(&self, user: &mut AuthInfo) {
        if let Some((certificate, key)) = &self.identity {
            user.client_certificate_data = Some(STANDARD.encode(certificate));
            user.client_key_data = Some(SecretString::from(STANDARD.encode(key.expose_secret())));
        }
    }
}
