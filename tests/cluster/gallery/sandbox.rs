//! The sandbox that all scenes share.

use std::path::PathBuf;
use std::time::Duration;

use bootstrapper::cluster::{Cluster, ConnectOptions};
use bootstrapper::object::ObjectRef;

use crate::common::{self, root};

pub(crate) const NAME: &str = "infra";

/// The repository with what the scenes of Flux build, and the sandbox of it up to Flux.
pub(crate) struct Sandbox {
    pub(crate) state: PathBuf,
    pub(crate) repository: tempfile::TempDir,
    is_kept: bool,
    _folder: Option<tempfile::TempDir>,
}

impl Sandbox {
    pub(crate) fn up() -> Self {
        let kept = std::env::var_os("GALLERY_STATE").map(PathBuf::from);
        let folder = kept.is_none().then(|| tempfile::tempdir().unwrap());
        let state = kept.clone().unwrap_or_else(|| folder.as_ref().unwrap().path().to_owned());
        let repository = common::exact_copy();
        common::copy_folder(&root().join("tests/gallery/git"), &repository.path().join("gallery"));
        let sandbox = Self { state, repository, is_kept: kept.is_some(), _folder: folder };
        sandbox.run(&["sandbox", "up", NAME]).assert().success();
        sandbox
    }

    /// Whatever the scenes need is there: Cilium's operator, CoreDNS, Flux.
    pub(crate) async fn bootstrap(&self) {
        let flux = ObjectRef::namespaced("apps/v1", "Deployment", "flux-system", "helm-controller");
        if self.cluster().await.get(&flux).await.unwrap().is_some() {
            return;
        }
        let until_flux = [NAME, "--sandbox", "--until", "flux", "--progress", "plain"];
        self.run(&until_flux).timeout(Duration::from_mins(15)).assert().success();
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> assert_cmd::Command {
        let mut command = common::bootstrapper();
        command.env("BOOTSTRAPPER_STATE_DIR", &self.state).args(arguments);
        command.arg("--repo").arg(self.repository.path());
        command
    }

    fn kubeconfig(&self) -> PathBuf {
        self.state.join("sandboxes").join(NAME).join("kubeconfig")
    }

    pub(crate) async fn cluster(&self) -> Cluster {
        let options = ConnectOptions { kubeconfig: Some(self.kubeconfig()), context: NAME.into() };
        Cluster::connect(&options).await.unwrap()
    }

    pub(crate) async fn client(&self) -> kube::Client {
        let kubeconfig = kube::config::Kubeconfig::read_from(self.kubeconfig()).unwrap();
        let options = kube::config::KubeConfigOptions::default();
        kube::Client::try_from(kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap())
            .unwrap()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if !self.is_kept {
            let mut down = common::bootstrapper();
            let _ = down.env("BOOTSTRAPPER_STATE_DIR", &self.state).args(["sandbox", "down", NAME]).output();
        }
    }
}
