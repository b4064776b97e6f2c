//! One hostile input: a small repository, changed.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// What stands in a place of the repository.
pub(crate) enum Content {
    Text(String),
    Bytes(Vec<u8>),
    Link(PathBuf),
    Folder,
    Fifo,
    /// A file of that many bytes that takes no room.
    Sparse(u64),
}

/// A repository that somebody else has made.
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) changes: Vec<(String, Content)>,
    /// What is asked of the program; `{kubeconfig}` is a file of the input.
    pub(crate) verbs: &'static [&'static [&'static str]],
    /// Whether nobody may be called because of it.
    pub(crate) calls_nobody: bool,
}

/// Verbs that read a repository and need no cluster.
pub(crate) const READ: &[&[&str]] = &[&["validate"], &["graph", "home"]];
pub(crate) const READ_CHARTS: &[&[&str]] = &[&["validate", "--charts"]];
pub(crate) const CONNECT: &[&[&str]] =
    &[&["plan", "home", "--trust", "--kubeconfig", "kubeconfig", "--context", "c"]];

/// Places of the base.
pub(crate) const APP: &str = "kubernetes/app/kustomization.yaml";
pub(crate) const MANIFEST: &str = "kubernetes/app/app.yaml";
pub(crate) const SETTINGS: &str = "kubernetes/clusters/home/settings.yaml";
pub(crate) const PARTS: &str = "kubernetes/clusters/home/parts.yaml";
pub(crate) const CONFIG: &str = "bootstrapper.yaml";
pub(crate) const TASKS: &str = "tasks/bootstrap.yaml";

/// The repository before it is changed. It is well.
pub(crate) const BASE: [(&str, &str); 8] = [
    (
        CONFIG,
        "clusters:\n  home:\n    secrets:\n      - name: cluster-secrets\n        namespace: flux-system\n        data: {BGP_PASSWORD: {env: HOSTILE_PASSWORD}}\n",
    ),
    (TASKS, "stages:\n  - name: app\n    steps:\n      - kustomization: app\n"),
    ("kubernetes/clusters/home/kustomization.yaml", "resources: [sync.yaml, settings.yaml, parts.yaml]\n"),
    (
        "kubernetes/clusters/home/sync.yaml",
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {name: flux-system, namespace: flux-system}\nspec: {interval: 1m, url: https://git.example.org/home.git, ref: {branch: main}}\n---\napiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: flux-system, namespace: flux-system}\nspec: {interval: 10m, path: ./kubernetes/clusters/home, prune: true, sourceRef: {kind: GitRepository, name: flux-system}}\n",
    ),
    (
        SETTINGS,
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cluster-settings, namespace: flux-system}\ndata:\n  DOMAIN: home.example.org\n",
    ),
    (
        PARTS,
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: app, namespace: flux-system}\nspec:\n  interval: 1h\n  path: ./kubernetes/app\n  prune: true\n  sourceRef: {kind: GitRepository, name: flux-system}\n  postBuild: {substituteFrom: [{kind: ConfigMap, name: cluster-settings}, {kind: Secret, name: cluster-secrets}]}\n",
    ),
    (APP, "resources: [app.yaml]\n"),
    (
        MANIFEST,
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app, namespace: default}\ndata: {domain: \"${DOMAIN}\"}\n",
    ),
];

impl Input {
    pub(crate) fn new(name: impl Into<String>, place: &str, content: Content) -> Self {
        Self {
            name: name.into(),
            changes: vec![(place.to_owned(), content)],
            verbs: READ,
            calls_nobody: false,
        }
    }

    pub(crate) fn text(name: impl Into<String>, place: &str, text: impl Into<String>) -> Self {
        Self::new(name, place, Content::Text(text.into()))
    }

    pub(crate) fn and(mut self, place: &str, content: Content) -> Self {
        self.changes.push((place.to_owned(), content));
        self
    }

    pub(crate) fn verbs(mut self, verbs: &'static [&'static [&'static str]]) -> Self {
        self.verbs = verbs;
        self
    }

    pub(crate) fn calls_nobody(mut self) -> Self {
        self.calls_nobody = true;
        self
    }

    /// Writes the repository.
    pub(crate) fn write(&self, root: &Path) {
        for (place, text) in BASE {
            write(&root.join(place), &Content::Text(text.to_owned()));
        }
        for (place, content) in &self.changes {
            write(&root.join(place), content);
        }
    }
}

fn write(place: &Path, content: &Content) {
    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
    let _ = std::fs::remove_file(place);
    match content {
        Content::Text(text) => std::fs::write(place, text).unwrap(),
        Content::Bytes(bytes) => std::fs::write(place, bytes).unwrap(),
        Content::Link(to) => symlink(to, place).unwrap(),
        Content::Folder => std::fs::create_dir_all(place).unwrap(),
        Content::Fifo => nix::unistd::mkfifo(place, nix::sys::stat::Mode::S_IRWXU).unwrap(),
        Content::Sparse(length) => std::fs::File::create(place).unwrap().set_len(*length).unwrap(),
    }
}
