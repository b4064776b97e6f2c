//! What cannot even be loaded.

use crate::{Finding, Fleet, Rule, Severity};
use bootstrapper_gitops::ProblemKind;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "cluster-unreadable",
        severity: Severity::Error,
        summary: "what a cluster declares cannot be built from its root down",
        why: "Flux would stop at the same place",
        fix: "mend what the finding names",
        check: refusals,
    },
    Rule {
        name: "task-file-invalid",
        severity: Severity::Error,
        summary: "a task file cannot be read, or names a stage that is not there",
        why: "no bootstrap can start",
        fix: "`bootstrapper schema tasks` prints what may stand there",
        check: refusals,
    },
    Rule {
        name: "config-invalid",
        severity: Severity::Error,
        summary: "bootstrapper.yaml cannot be read",
        why: "no bootstrap can start",
        fix: "`bootstrapper schema config` prints what may stand there",
        check: refusals,
    },
    Rule {
        name: "impossible-step",
        severity: Severity::Error,
        summary: "a step of the bootstrap names what the cluster does not declare, or what only Flux can install",
        why: "the run would be refused before it starts",
        fix: "declare it, correct the name in the task file, or give the step `when: declared`",
        check: refusals,
    },
    Rule {
        name: "unbuildable-kustomization",
        severity: Severity::Error,
        summary: "kustomize refuses what a Kustomization builds",
        why: "Flux stops at the same place (BuildFailed), and nothing of it is applied",
        fix: "mend what kustomize names",
        check: problems,
    },
    Rule {
        name: "unfetchable",
        severity: Severity::Warning,
        summary: "a Kustomization builds what must be fetched, and its address does not answer now",
        why: "nobody can say whether it is right: it was not checked, nor what needs it",
        fix: "validate once with a way to the internet: what it builds to is kept from then on",
        check: problems,
    },
    Rule {
        name: "outside-repository",
        severity: Severity::Error,
        summary: "a kustomization names a file or folder outside of the repository",
        why: "Flux builds from the repository alone, and refuses absolute paths, `..` above the root and symbolic links",
        fix: "move the file into the repository, or name it by its path from the kustomization",
        check: problems,
    },
    Rule {
        name: "refused-address",
        severity: Severity::Error,
        summary: "a kustomization names an address that is never fetched",
        why: "only `https://` is fetched, without credentials, and of git a branch, a tag or a commit: anything else could run a program, read this machine's files or be changed on the way",
        fix: "name an address of `https://`, or keep a copy in the repository",
        check: problems,
    },
    Rule {
        name: "excessive-input",
        severity: Severity::Error,
        summary: "a file, what its aliases stand for, or what a build reads is larger than is read",
        why: "it would take all memory or never end, in Flux too",
        fix: "write out what the aliases stand for; split what has too many keys or objects; take devices, pipes and generated files out of the repository",
        check: problems,
    },
    Rule {
        name: "secret-in-address",
        severity: Severity::Error,
        summary: "the address of a source, or the name or version of a chart, holds a value of a secret",
        why: "whoever answers at that address, and every log on the way, reads the secret",
        fix: "take it out of the address: sources name their credentials with secretRef",
        check: problems,
    },
    Rule {
        name: "not-an-object",
        severity: Severity::Error,
        summary: "what a Kustomization builds to is no object",
        why: "Flux refuses the whole Kustomization",
        fix: "every document needs apiVersion, kind and metadata.name; a value that is substituted may need quotes around its `${…}`",
        check: problems,
    },
    Rule {
        name: "missing-path",
        severity: Severity::Error,
        summary: "a Kustomization builds a folder that is not there",
        why: "Flux says ArtifactFailed until the folder is there",
        fix: "correct spec.path: it counts from the root of the repository",
        check: problems,
    },
    Rule {
        name: "missing-source",
        severity: Severity::Error,
        summary: "a Kustomization takes its files from a source that nothing declares",
        why: "Flux waits for the source for ever",
        fix: "declare the source, or correct the sourceRef",
        check: problems,
    },
    Rule {
        name: "undefined-variable",
        severity: Severity::Error,
        summary: "a variable has no value, and no default",
        why: "Flux substitutes strictly: it refuses the whole Kustomization",
        fix: "define it in the cluster's settings, or give it a default: `${NAME:=default}`",
        check: problems,
    },
    Rule {
        name: "malformed-substitution",
        severity: Severity::Error,
        summary: "`${…}` that Flux does not understand",
        why: "Flux refuses the whole Kustomization",
        fix: "write `$$` for a dollar sign that Flux should leave alone",
        check: problems,
    },
    Rule {
        name: "variable-name",
        severity: Severity::Error,
        summary: "a name that no variable can have",
        why: "Flux refuses the whole Kustomization",
        fix: "use letters, digits and `_`, and begin with no digit",
        check: problems,
    },
    Rule {
        name: "missing-substitute-from",
        severity: Severity::Error,
        summary: "a Kustomization substitutes from a ConfigMap or Secret that nothing brings",
        why: "Flux waits for it for ever",
        fix: "declare it in the namespace of the Kustomization, or mark the reference `optional`",
        check: problems,
    },
    Rule {
        name: "unknown-dependency",
        severity: Severity::Error,
        summary: "something depends on what nothing declares",
        why: "Flux waits for it for ever",
        fix: "declare it, or correct the dependsOn",
        check: problems,
    },
    Rule {
        name: "cyclic-dependency",
        severity: Severity::Error,
        summary: "something depends on itself, by way of others",
        why: "each waits for the next, for ever",
        fix: "take one of the dependsOn entries out",
        check: problems,
    },
    Rule {
        name: "missing-chart-source",
        severity: Severity::Error,
        summary: "a release takes its chart from a source that nothing declares",
        why: "helm-controller waits for the source for ever",
        fix: "declare the source beside the HelmRelease, or correct the reference",
        check: problems,
    },
    Rule {
        name: "no-chart",
        severity: Severity::Error,
        summary: "a release says nothing about its chart, or names a source that cannot hold one",
        why: "nothing can be installed",
        fix: "give it a chartRef to an OCIRepository, or a chart with a sourceRef",
        check: problems,
    },
    Rule {
        name: "unpinned-chart",
        severity: Severity::Error,
        summary: "a chart without a version",
        why: "every reconciliation may install something else, on one cluster before the other",
        fix: "name a version: `ref: {tag: …}`, or `version:`",
        check: problems,
    },
    Rule {
        name: "storage-namespace-apart",
        severity: Severity::Error,
        summary: "a release keeps its state elsewhere than it installs",
        why: "helm stores it where it installs: Flux does not find what the bootstrap installed, and installs it twice",
        fix: "set storageNamespace to the namespace that it installs into",
        check: problems,
    },
    Rule {
        name: "missing-values-source",
        severity: Severity::Error,
        summary: "a release takes values from a ConfigMap, a Secret or a key that nothing brings",
        why: "helm-controller waits for it for ever",
        fix: "declare it in the namespace of the HelmRelease, or mark the reference `optional`",
        check: problems,
    },
    Rule {
        name: "unreadable-values",
        severity: Severity::Error,
        summary: "what a release takes values from is no map of values",
        why: "helm-controller refuses the release (ValuesError)",
        fix: "correct the text",
        check: problems,
    },
    Rule {
        name: "unsupported-target-path",
        severity: Severity::Error,
        summary: "what a release takes values from cannot be put where its targetPath says",
        why: "helm-controller refuses the release (ValuesError)",
        fix: "correct the path, or take the text as it is with `literal: true`: else it has the syntax of `helm --set`",
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
        let of_rule = declared.problems.iter().filter(|problem| rule_of(problem.kind) == rule.name);
        of_rule
            .map(|problem| Finding::of_failure(rule, &problem.failure).in_cluster(&declared.cluster))
            .collect()
    })
}

/// The rule that tells a problem: a new kind of problem needs one.
fn rule_of(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::UnbuildableKustomization => "unbuildable-kustomization",
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
