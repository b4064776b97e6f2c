//! Parses kubeconfigs as kubectl does: merges several files, and skips missing files of the environment.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::config::{AuthInfo, Kubeconfig, KubeconfigError, NamedAuthInfo, NamedCluster};

use super::secrets;
use bootstrapper_core::failure::{Failure, FailureKind, Location, Result};

/// The maximum size of a kubeconfig, and of files that it references.
const LARGEST: u64 = 16 * 1024 * 1024;

/// The timeout for reading a file: it may be a pipe of a program that prompts a person, or that nothing
/// writes to.
const LIMIT: Duration = Duration::from_secs(8);

/// The cluster to connect to.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// The kubeconfig file; `$KUBECONFIG`, else `~/.kube/config`, if none.
    pub kubeconfig: Option<PathBuf>,
    /// The context.
    pub context: String,
}

/// The cluster and the user of a context.
pub(super) struct Entry {
    pub(super) context: String,
    pub(super) cluster_name: String,
    pub(super) cluster: kube::config::Cluster,
    pub(super) user_name: String,
    pub(super) user: AuthInfo,
    namespace: Option<String>,
}

/// The entry of the requested context.
pub(super) async fn entry(options: &ConnectOptions) -> Result<Entry> {
    let kubeconfig = read(options).await?;
    secrets::mark_credentials(&kubeconfig);
    let context = &options.context;
    require_context(&kubeconfig, context)?;
    let named = kubeconfig.contexts.into_iter().find(|known| known.name == *context);
    let found = named.and_then(|named| named.context).ok_or_else(|| unusable(context))?;
    let is_it = |known: &NamedCluster| known.name == found.cluster;
    let cluster = kubeconfig.clusters.into_iter().find(is_it).and_then(|named| named.cluster);
    let cluster = cluster.ok_or_else(|| {
        unusable(context).because(format!("cluster `{}` not found in the kubeconfig", found.cluster))
    })?;
    let user_name = found.user.unwrap_or_default();
    let is_it = |known: &NamedAuthInfo| known.name == user_name;
    // As in kubectl, a missing user is anonymous.
    let user = kubeconfig.auth_infos.into_iter().find(is_it).and_then(|named| named.auth_info);
    Ok(Entry {
        context: context.clone(),
        cluster_name: found.cluster,
        cluster,
        user_name,
        user: user.unwrap_or_default(),
        namespace: found.namespace,
    })
}

impl Entry {
    /// A kubeconfig that contains only this entry.
    pub(super) fn alone(self) -> Kubeconfig {
        let context = kube::config::Context {
            cluster: self.cluster_name.clone(),
            user: Some(self.user_name.clone()),
            namespace: self.namespace,
            extensions: None,
            ..kube::config::Context::default()
        };
        Kubeconfig {
            clusters: vec![NamedCluster {
                name: self.cluster_name,
                cluster: Some(self.cluster),
                ..NamedCluster::default()
            }],
            auth_infos: vec![NamedAuthInfo {
                name: self.user_name,
                auth_info: Some(self.user),
                ..NamedAuthInfo::default()
            }],
            contexts: vec![kube::config::NamedContext {
                name: self.context.clone(),
                context: Some(context),
                ..kube::config::NamedContext::default()
            }],
            current_context: Some(self.context),
            ..Kubeconfig::default()
        }
    }

    /// An invalid field of its user. Never contains the value.
    pub(super) fn wrong_user(&self, field: &str, why: &str) -> Failure {
        unusable(&self.context).because(format!("`{field}` of user `{}` {why}", self.user_name))
    }

    /// An invalid field of its cluster.
    pub(super) fn wrong_cluster(&self, field: &str, why: &str) -> Failure {
        unusable(&self.context).because(format!("`{field}` of cluster `{}` {why}", self.cluster_name))
    }
}

pub(super) fn unusable(context: &str) -> Failure {
    Failure::new(FailureKind::Connection, format!("context `{context}` cannot be used"))
        .hint("check its cluster and user entries in the kubeconfig")
}

/// The names of all contexts of the kubeconfig; none if there is no kubeconfig.
pub async fn contexts(kubeconfig: Option<PathBuf>) -> Vec<String> {
    let options = ConnectOptions { kubeconfig, context: String::new() };
    let read = read(&options).await;
    read.map(|all| all.contexts.into_iter().map(|context| context.name).collect()).unwrap_or_default()
}

/// Whether there is any kubeconfig.
pub async fn has_kubeconfig(options: &ConnectOptions) -> bool {
    read(options).await.is_ok()
}

async fn read(options: &ConnectOptions) -> Result<Kubeconfig> {
    if let Some(file) = &options.kubeconfig {
        return read_file(file).await?.ok_or_else(|| {
            let why = io::Error::from(io::ErrorKind::NotFound);
            none().because(format!("cannot read {}: {why}", file.display()))
        });
    }
    let files = files(std::env::var_os("KUBECONFIG").as_deref(), std::env::home_dir());
    let mut merged: Option<Kubeconfig> = None;
    for file in &files {
        let Some(next) = read_file(file).await? else { continue };
        merged = Some(match merged {
            None => next,
            Some(before) => before
                .merge(next)
                .map_err(|error| none().because(format!("cannot merge {}: {error}", file.display())))?,
        });
    }
    merged.ok_or_else(|| {
        let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        none().because(format!("not found: {}", files.join(", ")))
    })
}

/// The files in `$KUBECONFIG`, otherwise the default one.
fn files(variable: Option<&std::ffi::OsStr>, home: Option<PathBuf>) -> Vec<PathBuf> {
    let named: Vec<PathBuf> =
        variable.iter().flat_map(std::env::split_paths).filter(|file| !file.as_os_str().is_empty()).collect();
    if named.is_empty() {
        return home.map(|home| home.join(".kube/config")).into_iter().collect();
    }
    named
}

fn none() -> Failure {
    Failure::new(FailureKind::Connection, "no valid kubeconfig")
        .hint("set one with --kubeconfig or KUBECONFIG")
        .hint("or use a sandbox: `bootstrapper <cluster> --sandbox`")
}

/// None if it does not exist.
async fn read_file(file: &Path) -> Result<Option<Kubeconfig>> {
    let bytes = match bounded(file).await {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(none().because(format!("cannot read {}: {error}", file.display()))),
    };
    let text =
        String::from_utf8(bytes).map_err(|_| none().because(format!("{} is not text", file.display())))?;
    let kubeconfig =
        Kubeconfig::from_yaml(text.trim_start_matches('\u{feff}')).map_err(|error| unread(file, &error))?;
    Ok(Some(absolute(kubeconfig, file.parent().unwrap_or(Path::new("")))))
}

/// The location of the error without the content, which may be a key or a password.
fn unread(file: &Path, error: &KubeconfigError) -> Failure {
    let failure = none().because(format!("{} is not a kubeconfig", file.display()));
    let KubeconfigError::Parse(error) = error else { return failure };
    let Some(place) = error.location() else { return failure };
    failure.at(Location {
        file: file.to_owned(),
        line: usize::try_from(place.line()).unwrap_or_default(),
        column: usize::try_from(place.column()).unwrap_or_default(),
    })
}

/// Files and programs are relative to the kubeconfig; a program without a folder is looked up
/// on PATH.
fn absolute(mut kubeconfig: Kubeconfig, folder: &Path) -> Kubeconfig {
    let from_here = |path: &mut Option<String>| {
        if let Some(path) = path
            && let Some(joined) = folder.join(&*path).to_str()
        {
            joined.clone_into(path);
        }
    };
    for cluster in kubeconfig.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        from_here(&mut cluster.certificate_authority);
    }
    for user in kubeconfig.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
        for path in [&mut user.client_certificate, &mut user.client_key, &mut user.token_file] {
            from_here(path);
        }
        if let Some(plugin) = &mut user.exec
            && plugin.command.as_ref().is_some_and(|command| command.contains('/'))
        {
            from_here(&mut plugin.command);
        }
    }
    kubeconfig
}

/// Reads a user-specified file: it may be a pipe, a device, or endless.
pub(super) async fn bounded(file: &Path) -> io::Result<Vec<u8>> {
    let file = file.to_owned();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    // A detached thread, because the read may never finish.
    let _reader = std::thread::Builder::new().spawn(move || sender.send(read_bounded(&file)))?;
    match tokio::time::timeout(LIMIT, receiver).await {
        Ok(read) => read.map_err(io::Error::other)?,
        Err(_) => Err(io::Error::other(format!("timed out after {} s", LIMIT.as_secs()))),
    }
}

fn read_bounded(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(file)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other(format!("it is larger than {} MiB", LARGEST >> 20)));
    }
    Ok(bytes)
}

fn require_context(kubeconfig: &Kubeconfig, context: &str) -> Result<()> {
    if kubeconfig.contexts.iter().any(|known| known.name == context) {
        return Ok(());
    }
    let known: Vec<&str> = kubeconfig.contexts.iter().map(|known| known.name.as_str()).collect();
    let failure =
        Failure::new(FailureKind::Connection, format!("context `{context}` not found in the kubeconfig"));
    let failure =
        if known.is_empty() { failure } else { failure.hint(format!("it has {}", known.join(", "))) };
    Err(failure.hint("use --context, or map contexts to clusters in bootstrapper.yaml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(file: PathBuf) -> ConnectOptions {
        ConnectOptions { kubeconfig: Some(file), context: "c".into() }
    }

    #[test]
    fn empty_names_in_the_list_are_no_files_and_none_means_the_usual_one() {
        let of = |list: &str| files(Some(list.as_ref()), Some("/home/a".into()));
        assert_eq!(of("a::b:"), [PathBuf::from("a"), PathBuf::from("b")]);
        assert_eq!(of(":"), [PathBuf::from("/home/a/.kube/config")]);
        assert_eq!(files(None, Some("/home/a".into())), of(""));
    }

    #[tokio::test]
    async fn a_kubeconfig_error_has_only_its_location() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kubeconfig");
        for text in [
            "users:\n- name: u\n  user:\n    token: [hunter2\n",
            "users:\n- name: u\n  user: hunter2\n",
            "clusters: [{name: a, cluster: {insecure-skip-tls-verify: hunter2}}]\n",
        ] {
            std::fs::write(&file, text).unwrap();
            let failure = entry(&options(file.clone())).await.err().unwrap();
            assert!(!format!("{failure:?}").contains("hunter2"), "{failure:?}");
            assert!(failure.location.is_some(), "{failure:?}");
        }
    }

    #[tokio::test]
    async fn what_has_no_end_and_what_never_begins_is_not_waited_for() {
        let failure = entry(&options("/dev/zero".into())).await.err().unwrap();
        assert!(failure.to_string().contains("larger than 16 MiB"), "{failure}");
    }

    #[test]
    fn files_are_named_from_where_the_kubeconfig_lies() {
        let kubeconfig = Kubeconfig::from_yaml(
            "{users: [{name: u, user: {tokenFile: t, client-key: /k, exec: {command: ./p}}}, {name: v, user: {exec: {command: aws}}}]}",
        )
        .unwrap();
        let read = absolute(kubeconfig, Path::new("/etc/x"));
        let user = |at: usize| read.auth_infos[at].auth_info.clone().unwrap();
        assert_eq!(user(0).token_file.as_deref(), Some("/etc/x/t"));
        assert_eq!(user(0).client_key.as_deref(), Some("/k"));
        assert_eq!(user(0).exec.unwrap().command.as_deref(), Some("/etc/x/./p"));
        assert_eq!(user(1).exec.unwrap().command.as_deref(), Some("aws"));
    }
}
