//! What can be said on the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

use super::new_cluster::NewClusterArgs;
use crate::pipeline::{Selector, parse_duration};
use crate::report::Progress;
use crate::sandbox::{Fault, RouterProgram};

/// Carries a Kubernetes cluster from "the API server answers" to "Flux owns everything and it is
/// healthy".
///
/// `bootstrapper infra` bootstraps the cluster `infra` of the repository. It can be stopped at any
/// point and run again: it finishes what is missing and touches nothing that is already right.
#[derive(Debug, Parser)]
#[command(
    name = "bootstrapper",
    version,
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true
)]
pub struct Args {
    #[command(subcommand)]
    pub(super) verb: Option<Verb>,

    #[command(flatten)]
    pub(super) run: RunArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Say what a run would do, and write nothing
    Plan(PlanArgs),
    /// Say what is ready and what each thing still waits for
    Status(PlanArgs),
    /// Say what Flux changes as it takes over, before it does; or what it changed
    ///
    /// Renders what Flux will apply and asks the API server, by dry runs, what would come of it.
    Handover(HandoverArgs),
    /// Name the root causes of whatever is the matter with a cluster
    ///
    /// On any cluster, at any time, whatever bootstrapped it. Reads only, and never the values of
    /// Secrets. Exits with 0 if nothing is wrong (slow is not wrong), 1 if a root cause is named, and
    /// 5 if there is no way to the cluster: then it says why.
    Doctor(DoctorArgs),
    /// Say what the code of a failure means, as BS-POD-001; list all of them
    Explain(ExplainArgs),
    /// List the clusters of the repository
    List(ListArgs),
    /// Find what is wrong with the repository, without a cluster
    ///
    /// Exits with 0 if there is nothing worse than a warning, and with 3 otherwise.
    Validate(ValidateArgs),
    /// Draw the Kustomizations and releases of the clusters, in the order in which Flux can do them
    Graph(GraphArgs),
    /// Write the folder of a further cluster, like one that is there
    NewCluster(NewClusterArgs),
    /// Turn objects that are gone into those that took their place
    #[command(subcommand)]
    Convert(ConvertVerb),
    /// Check that the cluster's pods can talk: to each other, to Services, from outside
    Verify(VerifyArgs),
    /// A throwaway cluster on this machine: a real control plane, simulated nodes
    #[command(subcommand)]
    Sandbox(SandboxVerb),
    /// Print the JSON Schema of the task files or of bootstrapper.yaml
    Schema(SchemaArgs),
    /// Echo over HTTP (what a sandbox runs in place of the test image `agnhost`)
    #[command(hide = true)]
    Netexec {
        /// The port.
        #[arg(long)]
        http_port: u16,
    },
    /// Fetch a page (what a sandbox runs in place of the `wget` of that image)
    #[command(hide = true)]
    Wget {
        /// It says nothing but what fails anyway.
        #[arg(short = 'q')]
        quiet: bool,
        /// How long it may take, in seconds.
        #[arg(short = 'T')]
        timeout: u64,
        /// Where the page would be written to.
        #[arg(short = 'O')]
        output: PathBuf,
        /// The page.
        url: String,
    },
    /// Change what a chart renders to, as its HelmRelease says (what Helm runs)
    #[command(hide = true)]
    PostRender {
        /// What is to be done.
        job: PathBuf,
    },
    /// Become Helm, so that it ends with the run that wants it
    #[command(hide = true)]
    RunHelm {
        /// The process of that run.
        parent: u32,
        /// The revision of the release that Helm will make.
        revision: u64,
        /// Helm and its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<std::ffi::OsString>,
    },
    /// Print a completion script for a shell
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, ClapArgs)]
pub(super) struct HandoverArgs {
    #[command(flatten)]
    pub(super) plan: PlanArgs,

    /// Exit with 1 if Flux changes, or has changed, what the bootstrap installed
    #[arg(long)]
    pub(super) check: bool,
}

#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct RunArgs {
    /// The clusters to bootstrap, one after the other
    #[arg(value_name = "CLUSTER")]
    pub(super) clusters: Vec<String>,

    /// Observe everything and write nothing
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Bring up a throwaway cluster on this machine and bootstrap that
    #[arg(long, conflicts_with_all = ["context", "kubeconfig"])]
    pub(super) sandbox: bool,

    /// The network of that throwaway cluster
    #[arg(long, value_enum, default_value_t, env = "BOOTSTRAPPER_SANDBOX_NETWORK")]
    pub(super) network: Network,

    /// The router of a real network
    #[arg(long, value_enum, default_value_t, env = "BOOTSTRAPPER_SANDBOX_ROUTER")]
    pub(super) router: Router,

    /// Take fields over from other owners instead of refusing
    #[arg(long)]
    pub(super) force_conflicts: bool,

    /// Stop before Flux takes over if it would change what the bootstrap installed
    #[arg(long)]
    pub(super) strict: bool,

    #[command(flatten)]
    pub(super) target: Target,

    #[command(flatten)]
    pub(super) selection: Selection,

    /// How to show progress
    #[arg(long, value_enum, default_value_t = ProgressStyle::Auto)]
    pub(super) progress: ProgressStyle,
}

/// Which repository and which cluster.
#[derive(Debug, Clone, Default, ClapArgs)]
pub(super) struct Target {
    /// The GitOps repository [default: found upwards from here]
    #[arg(long, value_name = "DIR", env = "BOOTSTRAPPER_REPO")]
    pub(super) repo: Option<PathBuf>,

    /// The kubeconfig context [default: what bootstrapper.yaml says, else the cluster's name]
    #[arg(long)]
    pub(super) context: Option<String>,

    /// The kubeconfig file [default: $KUBECONFIG, else ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
}

/// Which part of the pipeline.
#[derive(Debug, Clone, Default, ClapArgs)]
pub(super) struct Selection {
    /// Only these stages or steps (`STAGE` or `STAGE/STEP`)
    #[arg(long, value_name = "STAGE[/STEP]", value_delimiter = ',')]
    only: Vec<String>,

    /// From this stage or step on
    #[arg(long, value_name = "STAGE[/STEP]")]
    from: Option<String>,

    /// Up to and including this stage or step
    #[arg(long, value_name = "STAGE[/STEP]")]
    until: Option<String>,

    /// Without these stages or steps
    #[arg(long, value_name = "STAGE[/STEP]", value_delimiter = ',')]
    skip: Vec<String>,

    /// How long each step may take, instead of what the task files say
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(super) timeout: Option<Duration>,
}

impl Selection {
    pub(super) fn selector(&self) -> Selector {
        Selector {
            only: self.only.clone(),
            from: self.from.clone(),
            until: self.until.clone(),
            skip: self.skip.clone(),
        }
    }
}

#[derive(Debug, ClapArgs)]
pub(super) struct PlanArgs {
    /// The cluster
    pub(super) cluster: String,

    /// Look at the sandbox of this cluster
    #[arg(long, conflicts_with_all = ["context", "kubeconfig"])]
    pub(super) sandbox: bool,

    #[command(flatten)]
    pub(super) target: Target,

    #[command(flatten)]
    pub(super) selection: Selection,

    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, ClapArgs)]
pub(super) struct VerifyArgs {
    /// The cluster; several of a mesh also call each other
    #[arg(value_name = "CLUSTER", required = true)]
    pub(super) clusters: Vec<String>,

    /// Look at the sandboxes of these clusters
    #[arg(long, conflicts_with_all = ["context", "kubeconfig"])]
    pub(super) sandbox: bool,

    #[command(flatten)]
    pub(super) target: Target,

    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, ClapArgs)]
pub(super) struct DoctorArgs {
    /// The cluster: its kubeconfig context has the same name, unless bootstrapper.yaml says otherwise
    pub(super) cluster: String,

    /// Only what lies in these namespaces [default: everything]
    #[arg(long, short, value_delimiter = ',')]
    pub(super) namespace: Vec<String>,

    /// Look at the sandbox of this cluster
    #[arg(long, conflicts_with_all = ["context", "kubeconfig"])]
    pub(super) sandbox: bool,

    #[command(flatten)]
    pub(super) target: Target,

    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, ClapArgs)]
pub(super) struct ExplainArgs {
    /// The code; all of them if none
    pub(super) code: Option<String>,

    /// Write the pages of the documentation into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "code", hide = true)]
    pub(super) write: Option<PathBuf>,

    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, Clone, Copy, ClapArgs)]
pub(super) struct OutputArgs {
    /// Text for people, or JSON for scripts
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub(super) output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    Text,
    Json,
}

#[derive(Debug, ClapArgs)]
pub(super) struct ListArgs {
    /// The GitOps repository [default: found upwards from here]
    #[arg(long, value_name = "DIR", env = "BOOTSTRAPPER_REPO")]
    pub(super) repo: Option<PathBuf>,

    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct ValidateArgs {
    /// Only these clusters [default: all]
    pub(super) clusters: Vec<String>,

    /// The GitOps repository [default: found upwards from here]
    #[arg(long, value_name = "DIR", env = "BOOTSTRAPPER_REPO")]
    pub(super) repo: Option<PathBuf>,

    /// Let warnings fail too
    #[arg(long)]
    pub(super) strict: bool,

    /// Also fetch and render every chart: whether it takes the values, and which CRDs it brings. What
    /// was found out once is known to later validations
    #[arg(long)]
    pub(super) charts: bool,

    /// Fetch what lies on the internet from what stands in for it in a running sandbox
    #[arg(long)]
    pub(super) sandbox: bool,

    /// List the rules, and check nothing
    #[arg(long, conflicts_with_all = ["clusters", "strict", "explain"])]
    pub(super) rules: bool,

    /// Say what a rule is about, and check nothing
    #[arg(long, value_name = "RULE", conflicts_with_all = ["clusters", "strict"])]
    pub(super) explain: Option<String>,

    /// Text for people, JSON for scripts, SARIF for code hosts; with --rules, Markdown for docs
    #[arg(long, short, value_enum, default_value_t = FindingsOutput::Text)]
    pub(super) output: FindingsOutput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FindingsOutput {
    Text,
    Json,
    Sarif,
    #[value(hide = true)]
    Markdown,
}

#[derive(Debug, ClapArgs)]
pub(super) struct GraphArgs {
    /// Only this cluster [default: all]
    pub(super) cluster: Option<String>,

    /// Text for a terminal, a Mermaid flowchart, or a drawing
    #[arg(long, short, value_enum, default_value_t = GraphFormat::Text)]
    pub(super) format: GraphFormat,

    /// The GitOps repository [default: found upwards from here]
    #[arg(long, value_name = "DIR", env = "BOOTSTRAPPER_REPO")]
    pub(super) repo: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum GraphFormat {
    Text,
    Mermaid,
    Svg,
}

#[derive(Debug, Subcommand)]
pub(super) enum ConvertVerb {
    /// CiliumBGPPeeringPolicy, which Cilium 1.19 removed, into the cilium.io/v2 objects
    ///
    /// Comments and `${NAME}` stay, documents of other kinds pass through. A policy that cannot be
    /// converted whole stays as it is; why is said with file, line and column, and the exit code is 1.
    /// What a node's annotation `cilium.io/bgp-virtual-router.<ASN>` says is no part of a policy: it
    /// becomes a CiliumBGPNodeConfigOverride, by hand.
    Bgp(ConvertBgpArgs),
}

#[derive(Debug, ClapArgs)]
pub(super) struct ConvertBgpArgs {
    /// Files of YAML documents; `-` is stdin [default: stdin]
    #[arg(value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,

    /// Write each file in place instead of everything to stdout
    #[arg(long, short)]
    pub(super) write: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct SchemaArgs {
    /// Of which file
    #[arg(value_enum, default_value_t = SchemaOf::Tasks)]
    pub(super) of: SchemaOf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum SchemaOf {
    /// `tasks/*.yaml`
    Tasks,
    /// `bootstrapper.yaml`
    Config,
}

#[derive(Debug, Subcommand)]
pub(super) enum SandboxVerb {
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
    /// Run a sandbox's supervisor in the foreground (what `up` starts)
    #[command(hide = true)]
    Serve {
        /// The sandbox's state folder
        state_dir: PathBuf,
    },
    /// Answer as 1Password's program does, of a sandbox's vault (what its `op` starts)
    #[command(hide = true)]
    Vault {
        /// The sandbox's state folder
        state_dir: PathBuf,
        /// What that program is told
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
}

const DEFAULT_NODES: u16 = 3;

#[derive(Debug, Clone, ClapArgs)]
pub(super) struct SandboxArgs {
    /// How many nodes
    #[arg(long, default_value_t = DEFAULT_NODES, value_parser = clap::value_parser!(u16).range(1..=50))]
    pub(super) nodes: u16,

    /// A folder of ready binaries (etcd, kube-apiserver, helm, …), before PATH and the cache
    #[arg(long, value_name = "DIR")]
    pub(super) binaries: Option<PathBuf>,

    /// The network
    #[arg(long, value_enum, default_value_t, env = "BOOTSTRAPPER_SANDBOX_NETWORK")]
    pub(super) network: Network,

    /// The router of a real network
    #[arg(long, value_enum, default_value_t, env = "BOOTSTRAPPER_SANDBOX_ROUTER")]
    pub(super) router: Router,
}

impl Default for SandboxArgs {
    fn default() -> Self {
        Self { nodes: DEFAULT_NODES, binaries: None, network: Network::default(), router: Router::default() }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum FaultName {
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
    /// Every third packet to a node is lost
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
            FaultName::OtherAuthority => Self::OtherAuthority,
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Network {
    /// Real where this machine can have it, else simulated
    #[default]
    Auto,
    /// Real Cilium agents and a real BGP router, in network namespaces (Linux, root)
    Real,
    /// Told, not had: agents and sessions in name only
    Simulated,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Router {
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ProgressStyle {
    /// Live bars on a terminal, plain lines elsewhere
    Auto,
    /// Live bars
    Tty,
    /// A line for each thing that happens
    Plain,
    /// A JSON object a line, on stdout
    Json,
    /// Failures and the end
    Quiet,
}

impl From<ProgressStyle> for Progress {
    fn from(style: ProgressStyle) -> Self {
        match style {
            ProgressStyle::Auto => Self::Auto,
            ProgressStyle::Tty => Self::Tty,
            ProgressStyle::Plain => Self::Plain,
            ProgressStyle::Json => Self::Json,
            ProgressStyle::Quiet => Self::Quiet,
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}
