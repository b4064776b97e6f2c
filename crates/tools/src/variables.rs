//! Which environment variables a program gets: paths and network settings, but no variable that makes it load
//! or run other code, and no secret that it does not need.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};

use super::limits::Work;

/// The kind of a program, which determines its variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Helm,
    Kustomize,
    Git,
    Sops,
    OnePassword,
    Bitwarden,
    Vault,
    /// A user's command from a task file.
    Own,
}

impl Kind {
    /// The kind of a program that this one calls.
    pub(super) fn of(program: &str) -> Self {
        match program {
            "helm" => Self::Helm,
            "kustomize" | "kubectl" => Self::Kustomize,
            "git" => Self::Git,
            "sops" => Self::Sops,
            "op" => Self::OnePassword,
            "bw" | "bws" => Self::Bitwarden,
            "vault" => Self::Vault,
            _ => Self::Own,
        }
    }

    /// The usual kind of its calls.
    pub(super) fn work(self) -> Work {
        match self {
            Self::Helm | Self::Kustomize => Work::Build,
            Self::Git => Work::Ask,
            Self::Sops | Self::OnePassword | Self::Bitwarden | Self::Vault => Work::Person,
            Self::Own => Work::Own,
        }
    }

    /// Whether its temporary folder must persist: `op` may start a daemon.
    pub(super) fn keeps_files(self) -> bool {
        matches!(self, Self::OnePassword | Self::Own)
    }
}

/// For every program: paths, locale, terminal and network settings.
const ALL: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "TZ",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "XDG_*",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NIX_SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    // Limits for programs.
    "BOOTSTRAPPER_CHILD_*",
];

/// Markers of the processes of a sandbox or a trial.
pub(super) const MARKS: &[&str] = &["BOOTSTRAPPER_SANDBOX", "BOOTSTRAPPER_TRIAL"];

/// Registry credentials, as stored by `helm registry login` and `docker login`.
const HELM: &[&str] = &["HELM_REGISTRY_CONFIG", "HELM_CONFIG_HOME", "HELM_CACHE_HOME", "DOCKER_CONFIG"];

/// Keys, and key services.
const SOPS: &[&str] = &[
    "SOPS_*",
    "AWS_*",
    "AZURE_*",
    "GOOGLE_*",
    "CLOUDSDK_*",
    "GCLOUD_*",
    "VAULT_*",
    "GNUPGHOME",
    "GPG_*",
    "SSH_AUTH_SOCK",
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "TERM",
];

/// A session of the 1Password CLI, and the connection to its app.
const ONE_PASSWORD: &[&str] =
    &["OP_*", "DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY", "SSH_AUTH_SOCK", "TERM"];

/// A session of Bitwarden's programs, their data folder, and trusted CAs.
const BITWARDEN: &[&str] = &["BW_*", "BWS_*", "BITWARDENCLI_APPDATA_DIR", "NODE_EXTRA_CA_CERTS"];

/// A session of the Vault CLI, and its server.
const VAULT: &[&str] = &["VAULT_*"];

/// Removed even from a user's command: variables meant only for this program, and those that point tools to
/// another cluster than that of their kubeconfig.
const NEVER: &[&str] = &[
    "BOOTSTRAPPER_LOG",
    "BOOTSTRAPPER_TRUST",
    "HELM_KUBEAPISERVER",
    "HELM_KUBEASGROUPS",
    "HELM_KUBEASUSER",
    "HELM_KUBECAFILE",
    "HELM_KUBECONTEXT",
    "HELM_KUBEINSECURE_SKIP_TLS_VERIFY",
    "HELM_KUBETLS_SERVER_NAME",
    "HELM_KUBETOKEN",
    "HELM_NAMESPACE",
    "KUBERNETES_MASTER",
    "KUBERNETES_SERVICE_HOST",
    "KUBERNETES_SERVICE_PORT",
    "KUBE_CONFIG_PATH",
];

/// The variables of `present` that a program gets. `withheld` are those with secrets of `bootstrapper.yaml`.
pub(super) fn environment_for(
    kind: Kind,
    present: impl IntoIterator<Item = (OsString, OsString)>,
    withheld: &BTreeSet<String>,
) -> Vec<(OsString, OsString)> {
    let more: &[&str] = match kind {
        Kind::Helm => HELM,
        Kind::Sops => SOPS,
        Kind::OnePassword => ONE_PASSWORD,
        Kind::Bitwarden => BITWARDEN,
        Kind::Vault => VAULT,
        // Kustomize and git get only the variables of the call.
        Kind::Kustomize | Kind::Git | Kind::Own => &[],
    };
    let is_given = |name: &OsStr| {
        let Some(name) = name.to_str() else { return kind == Kind::Own };
        let listed = |list: &[&str]| list.iter().any(|pattern| is_like(name, pattern));
        match kind {
            Kind::Own => !(listed(NEVER) || withheld.contains(name)),
            _ => listed(ALL) || listed(MARKS) || listed(more),
        }
    };
    present.into_iter().filter(|(name, _)| is_given(name)).collect()
}

fn is_like(name: &str, pattern: &str) -> bool {
    pattern.strip_suffix('*').map_or(name == pattern, |start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(kind: Kind, names: &[&str]) -> Vec<String> {
        let present = names.iter().map(|name| (OsString::from(name), OsString::from("x")));
        let withheld = BTreeSet::from(["INFRA_BGP_PASSWORD".to_owned()]);
        let given = environment_for(kind, present, &withheld);
        given.into_iter().map(|(name, _)| name.into_string().unwrap()).collect()
    }

    #[test]
    fn each_program_gets_what_it_needs_and_no_other_secret() {
        let all = [
            "PATH",
            "LC_ALL",
            "HTTPS_PROXY",
            "INFRA_BGP_PASSWORD",
            "AWS_SECRET_ACCESS_KEY",
            "SOPS_AGE_KEY",
            "OP_SERVICE_ACCOUNT_TOKEN",
            "BW_SESSION",
            "BWS_ACCESS_TOKEN",
            "VAULT_TOKEN",
            "GITHUB_TOKEN",
            "KUBECONFIG",
            "HELM_REGISTRY_CONFIG",
            "SSH_AUTH_SOCK",
        ];
        let table: [(Kind, &[&str]); 6] = [
            (Kind::Bitwarden, &["PATH", "LC_ALL", "HTTPS_PROXY", "BW_SESSION", "BWS_ACCESS_TOKEN"]),
            (Kind::Vault, &["PATH", "LC_ALL", "HTTPS_PROXY", "VAULT_TOKEN"]),
            (Kind::Helm, &["PATH", "LC_ALL", "HTTPS_PROXY", "HELM_REGISTRY_CONFIG"]),
            (
                Kind::Sops,
                &[
                    "PATH",
                    "LC_ALL",
                    "HTTPS_PROXY",
                    "AWS_SECRET_ACCESS_KEY",
                    "SOPS_AGE_KEY",
                    "VAULT_TOKEN",
                    "SSH_AUTH_SOCK",
                ],
            ),
            (
                Kind::OnePassword,
                &["PATH", "LC_ALL", "HTTPS_PROXY", "OP_SERVICE_ACCOUNT_TOKEN", "SSH_AUTH_SOCK"],
            ),
            (
                Kind::Own,
                &[
                    "PATH",
                    "LC_ALL",
                    "HTTPS_PROXY",
                    "AWS_SECRET_ACCESS_KEY",
                    "SOPS_AGE_KEY",
                    "OP_SERVICE_ACCOUNT_TOKEN",
                    "BW_SESSION",
                    "BWS_ACCESS_TOKEN",
                    "VAULT_TOKEN",
                    "GITHUB_TOKEN",
                    "KUBECONFIG",
                    "HELM_REGISTRY_CONFIG",
                    "SSH_AUTH_SOCK",
                ],
            ),
        ];
        for (kind, expected) in table {
            assert_eq!(given(kind, &all), expected, "{kind:?}");
        }
    }

    #[test]
    fn no_variable_makes_a_tool_load_or_run_something() {
        let loading = [
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "DYLD_INSERT_LIBRARIES",
            "HELM_PLUGINS",
            "HELM_DATA_HOME",
            "HELM_NAMESPACE",
            "HELM_KUBEAPISERVER",
            "HELM_DRIVER",
            "KUSTOMIZE_PLUGIN_HOME",
            "GIT_SSH_COMMAND",
            "GIT_CONFIG_COUNT",
            "GIT_EXEC_PATH",
            "GIT_EXTERNAL_DIFF",
            "GIT_ASKPASS",
            "SSH_ASKPASS",
            "GODEBUG",
            "GOMEMLIMIT",
            "BASH_ENV",
            "ENV",
            "PAGER",
            "EDITOR",
            "KUBECONFIG",
        ];
        for kind in [Kind::Helm, Kind::Sops, Kind::OnePassword, Kind::Bitwarden, Kind::Vault] {
            assert_eq!(given(kind, &loading), Vec::<String>::new(), "{kind:?}");
        }
    }
}
