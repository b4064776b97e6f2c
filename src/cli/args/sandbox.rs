//! `sandbox`.

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::{OutputArgs, Target};
use bootstrapper_sandbox::{Fault, RouterProgram};

#[derive(Debug, Subcommand)]
pub(crate) enum SandboxVerb {
    /// Create a sandbox for a cluster of the repository
    Up {
        /// Name of the cluster
        cluster: String,
        /// The GitOps repository [default: searched upwards from the current folder]
        #[arg(long, value_name = "DIR", env = "BOOTSTRAPPER_REPO")]
        repo: Option<PathBuf>,
        #[command(flatten)]
        options: SandboxArgs,
    },
    /// Delete a sandbox
    Down {
        /// Name of the sandbox
        name: String,
    },
    /// Run a command on a node or on the router (needs --network real)
    Exec {
        /// Name of the sandbox
        name: String,
        /// Name of the node, or `router`
        machine: String,
        /// The command and its arguments
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Inject a fault (most need --network real)
    Fault {
        /// Name of the sandbox
        name: String,
        /// The fault
        #[arg(value_enum)]
        fault: FaultName,
        /// Where to inject it [default: the router or the first node]
        #[arg(long)]
        machine: Option<String>,
    },
    /// Undo all injected faults
    Heal {
        /// Name of the sandbox
        name: String,
    },
    /// Clean up after crashed sandboxes
    Gc,
    /// List sandboxes
    List {
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Print the path of a sandbox's kubeconfig
    Kubeconfig {
        /// Name of the sandbox
        name: String,
    },
    /// Find, download or build the sandbox's programs, and print the folder with helm and kustomize
    Programs {
        #[command(flatten)]
        options: SandboxArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
}

const DEFAULT_NODES: u16 = 3;

#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct SandboxArgs {
    /// Number of nodes
    #[arg(long, default_value_t = DEFAULT_NODES, value_parser = clap::value_parser!(u16).range(1..=50))]
    pub(crate) nodes: u16,

    /// Folder of prebuilt binaries (etcd, kube-apiserver, helm, …), searched before PATH and the cache
    #[arg(long, value_name = "DIR")]
    pub(crate) binaries: Option<PathBuf>,

    /// Build missing programs from Go modules instead of downloading official releases
    #[arg(long, value_parser = FalseyValueParser::new(), env = "BOOTSTRAPPER_SANDBOX_FROM_SOURCE")]
    pub(crate) from_source: bool,

    /// The kind of network
    #[arg(long, value_enum, default_value_t, env = "BOOTSTRAPPER_SANDBOX_NETWORK")]
    pub(crate) network: Network,

    /// The BGP router of a real network
    #[arg(long, value_enum, default_value_t, env = "BOOTSTRAPPER_SANDBOX_ROUTER")]
    pub(crate) router: Router,

    /// Approve what the repository requests from this machine [default: secret values are generated]
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
    /// Create a sandbox (a throwaway cluster on this machine) and bootstrap it
    #[arg(long, conflicts_with_all = ["context", "kubeconfig"])]
    pub(crate) sandbox: bool,

    /// Build missing programs of the sandbox from Go modules instead of downloading official releases
    #[arg(long, value_parser = FalseyValueParser::new(), env = "BOOTSTRAPPER_SANDBOX_FROM_SOURCE")]
    from_source: bool,

    /// The network of the sandbox
    #[arg(long, value_enum, default_value_t, env = "BOOTSTRAPPER_SANDBOX_NETWORK")]
    network: Network,

    /// The BGP router of a real network
    #[arg(long, value_enum, default_value_t, env = "BOOTSTRAPPER_SANDBOX_ROUTER")]
    router: Router,
}

impl RunSandboxArgs {
    /// The same options, for `sandbox up`.
    pub(crate) fn shape(self, target: &Target) -> SandboxArgs {
        SandboxArgs {
            from_source: self.from_source,
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
            from_source: false,
            network: Network::default(),
            router: Router::default(),
            trust: None,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum FaultName {
    /// The router is down
    RouterDown,
    /// The router forwards only 64 kbit/s
    RouterSlow,
    /// The router expects a different ASN for the nodes
    WrongAsn,
    /// The router expects a different BGP password
    WrongPassword,
    /// The link of a node is down
    LinkDown,
    /// The link of a node loses 10 % of packets, in both directions
    PacketLoss,
    /// The link of a node drops packets larger than 1280 bytes
    SmallMtu,
    /// A node is down
    NodeDown,
    /// The Cilium agent of a node is killed
    AgentKilled,
    /// The Cilium agent of a node hangs
    AgentHangs,
    /// The API server is unreachable
    ApiServerGone,
    /// etcd is killed, and restarts with its data
    StoreKilled,
    /// The vault returns a different mesh CA for this cluster
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
    /// Real if this machine supports it, else simulated
    #[default]
    Auto,
    /// Real Cilium agents and a real BGP router, in network namespaces (Linux, root)
    Real,
    /// Cilium agents and BGP sessions are faked
    Simulated,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Router {
    /// gobgpd, one of the sandbox's own programs
    #[default]
    Gobgp,
    /// FRR, which must be installed
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
