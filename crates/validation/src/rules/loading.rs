//! Problems found while loading.

use super::tenants::denied_bases;
use crate::{Finding, Fleet, Rule, Severity};
use bootstrapper_gitops::{Problem, ProblemKind};

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "cluster-unreadable",
        severity: Severity::Error,
        summary: "a cluster's declaration cannot be built from its root",
        why: "Flux fails at the same place",
        fix: "fix what the finding reports",
        check: refusals,
    },
    Rule {
        name: "task-file-invalid",
        severity: Severity::Error,
        summary: "a task file is invalid, or references a stage that is not found",
        why: "no bootstrap can start",
        fix: "check it against the schema of `bootstrapper schema tasks`",
        check: refusals,
    },
    Rule {
        name: "config-invalid",
        severity: Severity::Error,
        summary: "bootstrapper.yaml is invalid",
        why: "no bootstrap can start",
        fix: "check it against the schema of `bootstrapper schema config`",
        check: refusals,
    },
    Rule {
        name: "impossible-step",
        severity: Severity::Error,
        summary: "a step references an object that the cluster does not declare, or that only Flux can install",
        why: "the run is rejected before it starts",
        fix: "declare it, correct the name in the task file, or set `when: declared` on the step",
        check: refusals,
    },
    Rule {
        name: "unbuildable-kustomization",
        severity: Severity::Error,
        summary: "the kustomize build of a Kustomization fails",
        why: "Flux fails in the same way (BuildFailed), and applies none of its objects",
        fix: "fix what kustomize reports",
        check: problems,
    },
    Rule {
        name: "unfetchable",
        severity: Severity::Warning,
        summary: "a Kustomization has a remote resource whose address does not answer",
        why: "it and its dependents were not checked",
        fix: "validate once with network access; the build result is cached",
        check: problems,
    },
    Rule {
        name: "outside-repository",
        severity: Severity::Error,
        summary: "a kustomization references a file or folder outside the repository",
        why: "Flux builds only from the repository, and rejects absolute paths, `..` above the root and symbolic links",
        fix: "move the file into the repository, or use its path relative to the kustomization",
        check: problems,
    },
    Rule {
        name: "refused-address",
        severity: Severity::Error,
        summary: "a kustomization has an address that is not allowed",
        why: "only `https://` without credentials, and git at a branch, tag or commit, are fetched: anything else could run a program, read local files or be changed in transit",
        fix: "use an `https://` address, or keep a copy in the repository",
        check: problems,
    },
    Rule {
        name: "excessive-input",
        severity: Severity::Error,
        summary: "a file, its expanded aliases or the input of a build exceeds the size limit",
        why: "it would use all memory or never finish, in Flux too",
        fix: "replace the aliases with their content; split files with too many keys or objects; remove devices, pipes and generated files from the repository",
        check: problems,
    },
    Rule {
        name: "secret-in-address",
        severity: Severity::Error,
        summary: "the address of a source, or the name or version of a chart, contains a secret value",
        why: "the server at that address and every log in between can read the secret",
        fix: "remove it from the address: sources reference their credentials with secretRef",
        check: problems,
    },
    Rule {
        name: "not-an-object",
        severity: Severity::Error,
        summary: "a Kustomization builds something that is not a Kubernetes object",
        why: "Flux rejects the whole Kustomization",
        fix: "every document needs apiVersion, kind and metadata.name; a substituted value may need quotes around its `${…}`",
        check: problems,
    },
    Rule {
        name: "missing-path",
        severity: Severity::Error,
        summary: "a Kustomization's path is not found",
        why: "Flux reports ArtifactFailed until the folder exists",
        fix: "correct spec.path, which is relative to the root of the repository",
        check: problems,
    },
    Rule {
        name: "missing-source",
        severity: Severity::Error,
        summary: "a Kustomization's source is not found",
        why: "Flux waits for the source, and the Kustomization is never ready",
        fix: "declare the source, or correct the sourceRef",
        check: problems,
    },
    Rule {
        name: "undefined-variable",
        severity: Severity::Error,
        summary: "a variable has no value, and no default",
        why: "Flux substitutes strictly, and rejects the whole Kustomization",
        fix: "define it in the cluster's settings, or give it a default: `${NAME:=default}`",
        check: problems,
    },
    Rule {
        name: "unbuildable-resource-set",
        severity: Severity::Error,
        summary: "the Flux operator cannot render a ResourceSet",
        why: "the ResourceSet stalls (BuildFailed), and none of its objects is created",
        fix: "correct the template, or add the missing input",
        check: problems,
    },
    Rule {
        name: "not-evaluated",
        severity: Severity::Info,
        summary: "objects of a ResourceSet were not checked, because they depend on values outside the repository",
        why: "a mistake in them shows only when Flux applies them",
        fix: "nothing to fix; `flux-operator build rset` renders it with your own inputs",
        check: problems,
    },
    Rule {
        name: "malformed-substitution",
        severity: Severity::Error,
        summary: "a `${…}` that Flux cannot parse",
        why: "Flux rejects the whole Kustomization",
        fix: "write `$$` for a literal dollar sign",
        check: problems,
    },
    Rule {
        name: "variable-name",
        severity: Severity::Error,
        summary: "an invalid variable name",
        why: "Flux rejects the whole Kustomization",
        fix: "use letters, digits and `_`, not starting with a digit",
        check: problems,
    },
    Rule {
        name: "missing-substitute-from",
        severity: Severity::Error,
        summary: "a ConfigMap or Secret of substituteFrom is not found",
        why: "Flux waits for it, and the Kustomization is never ready",
        fix: "declare it in the namespace of the Kustomization, or mark the reference `optional`",
        check: problems,
    },
    Rule {
        name: "unknown-dependency",
        severity: Severity::Error,
        summary: "a dependency is not found",
        why: "Flux waits for it, and the dependent is never ready",
        fix: "declare it, or correct the dependsOn",
        check: problems,
    },
    Rule {
        name: "cyclic-dependency",
        severity: Severity::Error,
        summary: "a dependency cycle",
        why: "each waits for the next, and none is ever ready",
        fix: "remove one of the dependsOn entries",
        check: problems,
    },
    Rule {
        name: "missing-chart-source",
        severity: Severity::Error,
        summary: "the source of a release's chart is not found",
        why: "helm-controller waits for the source, and the release is never ready",
        fix: "declare the source next to the HelmRelease, or correct the reference",
        check: problems,
    },
    Rule {
        name: "no-chart",
        severity: Severity::Error,
        summary: "a release has no chart, or a source of a kind that cannot hold one",
        why: "Helm has nothing to install",
        fix: "set a chartRef to an OCIRepository, or a chart with a sourceRef",
        check: problems,
    },
    Rule {
        name: "unpinned-chart",
        severity: Severity::Error,
        summary: "a chart without a version",
        why: "every reconciliation may install another version, and clusters differ",
        fix: "set a version: `ref: {tag: …}`, or `version:`",
        check: problems,
    },
    Rule {
        name: "storage-namespace-apart",
        severity: Severity::Error,
        summary: "a release stores its state in another namespace than it installs into",
        why: "Flux does not find the release of the bootstrap, whose state is in the namespace that it installs into, and installs it twice",
        fix: "set storageNamespace to the namespace that it installs into",
        check: problems,
    },
    Rule {
        name: "missing-values-source",
        severity: Severity::Error,
        summary: "a ConfigMap, Secret or key of valuesFrom is not found",
        why: "helm-controller waits for it, and the release is never ready",
        fix: "declare it in the namespace of the HelmRelease, or mark the reference `optional`",
        check: problems,
    },
    Rule {
        name: "unreadable-values",
        severity: Severity::Error,
        summary: "a values source of a release does not contain a map",
        why: "helm-controller rejects the release (ValuesError)",
        fix: "correct its content",
        check: problems,
    },
    Rule {
        name: "unsupported-target-path",
        severity: Severity::Error,
        summary: "a values source of a release has an invalid targetPath",
        why: "helm-controller rejects the release (ValuesError)",
        fix: "correct the path, or set `literal: true`: without it, the value is parsed like `helm --set`",
        check: problems,
    },
];

fn refusals(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    let of_rule = fleet.refusals.iter().filter(|refusal| refusal.rule == rule.name);
    of_rule
        .map(|refusal| {
            let finding = Finding::of_failure(rule, &refusal.failure);
            match &refusal.cluster {
                Some(cluster) => finding.in_cluster(cluster),
                None => finding,
            }
        })
        .collect()
}

fn problems(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each(|declared| {
        let found =
            |problem: &Problem| Finding::of_failure(rule, &problem.failure).in_cluster(&declared.cluster);
        // What Flux does not fetch need not answer: `remote-base-denied` reports it.
        let is_denied = |problem: &Problem| {
            problem.kind == ProblemKind::Unfetchable
                && denied_bases(declared).any(|(_, place)| *place == problem.failure.location)
        };
        let is_of_rule = |problem: &&Problem| rule_of(problem.kind) == rule.name && !is_denied(problem);
        let problems = declared.problems.iter().filter(is_of_rule).map(found);
        let notes =
            declared.notes.iter().filter(is_of_rule).map(|note| found(note).with_severity(Severity::Info));
        problems.chain(notes).collect()
    })
}

/// The rule that reports a problem: each kind of problem needs one.
fn rule_of(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::UnbuildableKustomization => "unbuildable-kustomization",
        ProblemKind::UnbuildableResourceSet => "unbuildable-resource-set",
        ProblemKind::NotEvaluated => "not-evaluated",
        ProblemKind::Unfetchable => "unfetchable",
        ProblemKind::OutsideRepository => "outside-repository",
        ProblemKind::RefusedAddress => "refused-address",
        ProblemKind::ExcessiveInput => "excessive-input",
        ProblemKind::SecretInAddress => "secret-in-address",
        ProblemKind::NotAnObject => "not-an-object",
        ProblemKind::MissingPath => "missing-path",
        ProblemKind::MissingSource => "missing-source",
        ProblemKind::UndefinedVariable => "undefined-variable",
        ProblemKind::MalformedSubstitution => "malformed-substitution",
        ProblemKind::VariableName => "variable-name",
        ProblemKind::MissingSubstituteFrom => "missing-substitute-from",
        ProblemKind::UnknownDependency => "unknown-dependency",
        ProblemKind::CyclicDependency => "cyclic-dependency",
        ProblemKind::MissingChartSource => "missing-chart-source",
        ProblemKind::NoChart => "no-chart",
        ProblemKind::UnpinnedChart => "unpinned-chart",
        ProblemKind::StorageNamespaceApart => "storage-namespace-apart",
        ProblemKind::MissingValuesSource => "missing-values-source",
        ProblemKind::UnreadableValues => "unreadable-values",
        ProblemKind::UnsupportedTargetPath => "unsupported-target-path",
    }
}
