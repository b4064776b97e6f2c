//! `sandbox`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::{OutputArgs, Target};
use bootstrapper_sandbox::{Fault, RouterProgram};

#[derive(Debug, Subcommand)]
pub(crate) enum SandboxVerb {
    /// Bring one up, shaped as the cluster of that name declares
    Up {
        /// The cluster
        cluster: String,
        /// The GitOps repository [default: found upwards from here]
        #[arg(long, value_name = "DIR", env = "BOOTSTRAPPER_REPO")]
        repo: Option<PathBuf>,
        #[command(flatten)]
        options: SandboxArgs,
    },
    /// Take one down; nothing of it stays
    Down {
        /// Its name
        name: String,
    },
    /// Run a program on a machine of a real network: a node, or `router`
    Exec {
        /// The sandbox
        name: String,
        /// The machine
        machine: String,
        /// The program and its arguments
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Break something on a real network, for a rehearsal
    Fault {
        /// The sandbox
        name: String,
        /// What breaks
        #[arg(value_enum)]
        fault: FaultName,
        /// Where [default: the router or the first node]
        #[arg(long)]
        machine: Option<String>,
    },
    /// Undo all faults of a sandbox
    Heal {
        /// The sandbox
        name: String,
    },
    /// End what killed supervisors have left, of whatever sandbox
    Gc,
    /// List those that are there
    List {
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Print the path of its kubeconfig
    Kubeconfig {
        /// Its name
        name: String,
    },
    /// Find or build the programs of sandboxes, and print the folder that has helm and kustomize
    Programs {
        #[command(flatten)]
        options: SandboxArgs,
    },
}

const DEFAULT_NODES: u16 = 3;

#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct SandboxArgs {
    /// How many nodes
    #[arg(long, default_value_t = DEFAULT_NODES, value_parser = clap::value_parser!(u16).range(1..=50))]
    pub(crate) nodes: u16,

    /// A folder of ready binaries (etcd, kube-apiserver, helm, …), before PATH and the cache
    #[arg(long, value_name = "DIR")]
    pub(crate) binaries: Option<PathBuf>,

    /// The network
    #[arg(long, value_enum, default_value_t, env = "BOOTSTRAPPER_SANDBOX_NETWORK")]
    pub(crate) network: Network,

    /// The router of a real network
    #[arg(long, value_enum, default_value_t, env = "BOOTSTRAPPER_SANDBOX_ROUTER")]
    pub(crate) router: Router,

    /// Agree to what the repository asks of this machine, for this call: without, its secrets are made up
    #[arg(
        long,
        value_name = "DIGEST",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "all",
        env = "BOOTSTRAPPER_TRUST"
    )]
    pub(crate) trust: Option<String>,
}

/// The sandbox of a run.
#[derive(Debug, Clone, Copy, ClapArgs)]
pub(crate) struct RunSandboxArgs {
    /// Bring up a throwaway cluster on this machine and bootstrap that
    #[arg(long, conflicts_with_all = ["context", "kubeconfig"])]
    pub(crate) sandbox: bool,

    /// The network of that throwaway cluster
    #[arg(long, value_enum, default_value_t, env = "BOOTSTRAPPER_SANDBOX_NETWORK")]
    network: Network,

    /// The router of a real network
    #[arg(long, value_enum, default_value_t, env = "BOOTSTRAPPER_SANDBOX_ROUTER")]
    router: Router,
}

impl RunSandboxArgs {
    /// As `sandbox up` takes it.
    pub(crate) fn shape(self, target: &Target) -> SandboxArgs {
        SandboxArgs {
            network: self.network,
            router: self.router,
            trust: target.trust.clone(),
            ..SandboxArgs::default()
        }
    }
}

impl Default for SandboxArgs {
    fn default() -> Self {
        Self {
            nodes: DEFAULT_NODES,
            binaries: None,
            network: Network::default(),
            router: Router::default(),
            trust: None,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum FaultName {
    /// The router is off
    RouterDown,
    /// The router passes 64 kbit in a second
    RouterSlow,
    /// The router expects another AS number of the nodes
    WrongAsn,
    /// The router expects another password of the nodes
    WrongPassword,
    /// A node's cable is unplugged
    LinkDown,
    /// Every tenth packet of a node is lost, either way
    PacketLoss,
    /// A node's cable takes packets of 1280 bytes at most
    SmallMtu,
    /// A node is off
    NodeDown,
    /// A node's agent is killed
    AgentKilled,
    /// A node's agent hangs
    AgentHangs,
    /// Nothing answers where the API server was
    ApiServerGone,
    /// etcd is killed; it is started again with what it had written
    StoreKilled,
    /// The vault gives this cluster another authority than the rest of its mesh
    OtherAuthority,
}

impl From<FaultName> for Fault {
    fn from(name: FaultName) -> Self {
        match name {
            FaultName::RouterDown => Self::RouterDown,
            FaultName::RouterSlow => Self::RouterSlow,
            FaultName::WrongAsn => Self::WrongAsn,
            FaultName::WrongPassword => Self::WrongPassword,
            FaultName::LinkDown => Self::LinkDown,
            FaultName::PacketLoss => Self::PacketLoss,
            FaultName::SmallMtu => Self::SmallMtu,
            FaultName::NodeDown => Self::NodeDown,
            FaultName::AgentKilled => Self::AgentKilled,
            FaultName::AgentHangs => Self::AgentHangs,
            FaultName::ApiServerGone => Self::ApiServerGone,
            FaultName::StoreKilled => Self::StoreKilled,
            FaultName::OtherAuthority => Self::OtherAuthority,
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Network {
    /// Real where this machine can have it, else simulated
    #[default]
    Auto,
    /// Real Cilium agents and a real BGP router, in network namespaces (Linux, root)
    Real,
    /// Told, not had: agents and sessions in name only
    Simulated,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Router {
    /// gobgpd, which is built with the sandbox's other programs
    #[default]
    Gobgp,
    /// FRR, which has to be installed
    Frr,
}

impl From<Router> for RouterProgram {
    fn from(router: Router) -> Self {
        match router {
            Router::Gobgp => Self::Gobgp,
            Router::Frr => Self::Frr,
        }
    }
}
