//! The programs, and their packages in the build list.

use super::own_module::OwnModule;

/// Programs that are built with one command.
pub(crate) struct Set {
    /// The folder in the cache.
    pub(super) folder: &'static str,
    /// The progress message of its build.
    pub(super) announcement: &'static str,
    /// The approximate number of compiled packages, for progress.
    pub(super) about_packages: usize,
    /// The module in which they are built; none for the sandbox's build list.
    pub(super) own_module: Option<&'static OwnModule>,
    /// Name of the program, package, and Go's name for it: its folder.
    pub(super) programs: &'static [(&'static str, &'static str, &'static str)],
}

impl Set {
    /// The names of the programs.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.programs.iter().map(|(name, ..)| *name)
    }
}

/// The programs of every sandbox.
pub(crate) const EVERY_SANDBOX: Set = Set {
    folder: "bin",
    announcement: "building the sandbox's programs from source (only once; 10 to 15 minutes on 2 cores)",
    about_packages: 5000,
    own_module: None,
    programs: &[
        ("etcd", "./etcd", "etcd"),
        ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver", "kube-apiserver"),
        (
            "kube-controller-manager",
            "k8s.io/kubernetes/cmd/kube-controller-manager",
            "kube-controller-manager",
        ),
        ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler", "kube-scheduler"),
        ("kwok", "sigs.k8s.io/kwok/cmd/kwok", "kwok"),
        ("helm", "helm.sh/helm/v4/cmd/helm", "helm"),
        ("source-controller", "github.com/fluxcd/source-controller", "source-controller"),
        ("kustomize-controller", "github.com/fluxcd/kustomize-controller", "kustomize-controller"),
        ("helm-controller", "github.com/fluxcd/helm-controller", "helm-controller"),
        ("kustomize", "sigs.k8s.io/kustomize/kustomize/v5", "kustomize"),
        // The operator infers its kind from its name.
        ("cilium-operator-generic", "github.com/cilium/cilium/operator", "operator"),
    ],
};

/// Additional programs of a sandbox with a real network.
pub(crate) const REAL_NETWORK: Set = Set {
    folder: "network",
    announcement: "building the programs of a real network: agent, BGP router, mesh (only once; 3 to 5 minutes on 2 cores)",
    about_packages: 5350,
    own_module: None,
    programs: &[
        ("cilium-agent", "github.com/cilium/cilium/daemon", "daemon"),
        ("cilium-dbg", "github.com/cilium/cilium/cilium-dbg", "cilium-dbg"),
        ("cilium-health-responder", "github.com/cilium/cilium/cilium-health/responder", "responder"),
        ("cilium-cni", "github.com/cilium/cilium/plugins/cilium-cni", "cilium-cni"),
        ("clustermesh-apiserver", "github.com/cilium/cilium/clustermesh-apiserver", "clustermesh-apiserver"),
        ("gobgpd", "github.com/osrg/gobgp/v4/cmd/gobgpd", "gobgpd"),
        ("gobgp", "github.com/osrg/gobgp/v4/cmd/gobgp", "gobgp"),
    ],
};

/// The Flux operator. Its CLI is named `flux-operator`, and may be in PATH, so this one has another name.
pub(crate) const FLUX_OPERATOR: Set = Set {
    folder: "flux-operator-0.58.1",
    announcement: "building flux-operator from source (only once; 3 to 6 minutes on 2 cores)",
    about_packages: 1200,
    own_module: Some(&OwnModule {
        module: super::assets::FLUX_OPERATOR,
        // Its web interface, which is disabled.
        files: &[("web/dist/index.html", "")],
        // The Go module proxy does not have the required version.
        replaces: "replace github.com/google/go-containerregistry/pkg/authn/kubernetes => \
            github.com/google/go-containerregistry/pkg/authn/kubernetes v0.0.0-20250225234217-098045d5e61f",
        sums: "github.com/google/go-containerregistry/pkg/authn/kubernetes v0.0.0-20250225234217-098045d5e61f \
            h1:GJRzEBoJv/A/E7JbTekq1Q0jFtAfY7TIxUFAK89Mmic=\n\
            github.com/google/go-containerregistry/pkg/authn/kubernetes v0.0.0-20250225234217-098045d5e61f/go.mod \
            h1:ZT74/OE6eosKneM9/LQItNxIMBV6CI5S46EXAnvkTBI=",
    }),
    programs: &[(FLUX_OPERATOR_MANAGER, "./cmd/operator", "operator")],
};

/// The sandbox's name for the Flux operator.
pub(crate) const FLUX_OPERATOR_MANAGER: &str = "flux-operator-manager";
