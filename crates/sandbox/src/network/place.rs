//! Where the containers of a pod run: on the network of their node, or on their own one that the network plugin
//! has connected. They share one root file system.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use super::namespace::Namespace;
use super::node::Node;
use super::{cni, root};
use crate::process::ProcessSpec;
use crate::programs::Programs;
use crate::state::Folder;
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Object, ObjectRef};

/// The place of a pod.
pub(crate) struct Place {
    node: Arc<Node>,
    own: Option<(Namespace, String)>,
    /// The environment of each container's programs.
    environments: RwLock<HashMap<String, Environment>>,
}

/// The environment variables of a program.
type Environment = BTreeMap<String, String>;

impl Place {
    /// Creates the place of a pod that is bound to this node.
    pub(crate) async fn make(
        node: &Arc<Node>,
        pod: &Object,
        folder: &Folder,
        programs: &Programs,
    ) -> Result<Self> {
        let id = ObjectRef::of(pod);
        if Self::is_on_host(pod) {
            return Ok(Self { node: Arc::clone(node), own: None, environments: RwLock::default() });
        }
        let namespace = Namespace::hold(folder, &id.to_string()).await?;
        root::set_up(&namespace, &node.machine.cgroup, programs).await?;
        namespace.run("ip", &["link", "set", "lo", "up"]).await?;
        let address = match cni::add(node, pod, &namespace).await {
            Ok(address) => address,
            Err(failure) => {
                namespace.end().await;
                return Err(failure);
            }
        };
        let own = Some((namespace, address));
        let place = Self { node: Arc::clone(node), own, environments: RwLock::default() };
        place.name_hosts(pod).await?;
        Ok(place)
    }

    /// Whether a pod is on the network of its node.
    pub(crate) fn is_on_host(pod: &Object) -> bool {
        pod.data["spec"]["hostNetwork"] == true
    }

    /// Its node.
    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// A process of one of its containers.
    pub(crate) fn process(
        &self,
        name: String,
        words: &[String],
        environment: Environment,
        log: PathBuf,
    ) -> ProcessSpec {
        self.node.machine.process(name, self.namespace(), words, environment, log)
    }

    /// Creates folders in it.
    pub(crate) async fn make_folders(&self, paths: &[String]) -> Result<()> {
        if paths.is_empty() {
            return Ok(());
        }
        let words: Vec<&str> = ["-p"].into_iter().chain(paths.iter().map(String::as_str)).collect();
        self.namespace().run("mkdir", &words).await.map(drop)
    }

    /// Writes files into it.
    pub(crate) async fn write(
        &self,
        files: impl IntoIterator<Item = (impl AsRef<Path>, impl AsRef<[u8]>)>,
    ) -> Result<()> {
        self.namespace().put(files).await
    }

    /// Removes a file from it.
    pub(crate) async fn remove(&self, path: &Path) -> Result<()> {
        self.namespace().run("rm", &["-f", &path.display().to_string()]).await.map(drop)
    }

    /// The namespace of its containers.
    fn namespace(&self) -> &Namespace {
        self.own.as_ref().map_or(&self.node.machine.namespace, |(namespace, _)| namespace)
    }

    /// The command prefix to run a program in its namespace.
    pub(crate) fn entering(&self) -> Vec<String> {
        self.node.machine.entering(self.namespace())
    }

    /// Stores the environment of a container.
    pub(crate) fn remember(&self, container: &str, environment: &Environment) {
        let mut all = self.environments.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(container.to_owned(), environment.clone());
    }

    /// The environment of a container.
    pub(crate) fn environment(&self, container: &str) -> Environment {
        let all = self.environments.read().unwrap_or_else(PoisonError::into_inner);
        all.get(container).cloned().unwrap_or_default()
    }

    /// Its own address, if it has one.
    pub(crate) fn address(&self) -> Option<&str> {
        self.own.as_ref().map(|(_, address)| address.as_str())
    }

    /// Adds the entries of /etc/hosts for a pod.
    async fn name_hosts(&self, pod: &Object) -> Result<()> {
        let aliases = pod.data["spec"]["hostAliases"].as_array().into_iter().flatten();
        let mut text = "127.0.0.1 localhost\n".to_owned();
        for alias in aliases {
            let names = alias["hostnames"].as_array().into_iter().flatten().filter_map(|name| name.as_str());
            let names: Vec<&str> = names.collect();
            let address = alias["ip"].as_str().unwrap_or_default();
            text.extend([address, " ", &names.join(" "), "\n"]);
        }
        self.namespace().put([("/etc/hosts", text)]).await
    }

    /// Disconnects it from the network, and releases it. Its processes have exited.
    pub(crate) async fn disconnect(&self, pod: &Object) {
        let Some((namespace, _)) = &self.own else { return };
        if let Err(failure) = cni::delete(&self.node, pod, namespace).await {
            tracing::warn!(pod = %ObjectRef::of(pod), %failure, "the CNI plugin did not release the address");
        }
        namespace.end().await;
    }
}
