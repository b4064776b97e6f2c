//! Which commands of an existing bootstrap this program replaces.

use std::path::PathBuf;

use super::scripts::Command;
use bootstrapper_gitops::Declared;
use bootstrapper_gitops::pipeline::{Applies, Pipeline};

/// Whether this program replaces a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cover {
    /// Yes; by this step or command.
    Covered(String),
    /// Yes, after something is declared.
    Needs(String),
    /// No.
    NotCovered(String),
}

/// A command of the existing bootstrap, and its replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The file that contains it.
    pub file: PathBuf,
    /// The task that contains it.
    pub task: String,
    /// The command.
    pub text: String,
    /// Whether this program replaces it.
    pub cover: Cover,
}

/// The replacement of each command.
pub fn rows(commands: &[Command], declared: &Declared, pipeline: &Pipeline) -> Vec<Row> {
    let row = |command: &Command| Row {
        file: command.file.clone(),
        task: command.task.clone(),
        text: command.text.clone(),
        cover: if command.is_release {
            of_release(&command.text, declared, pipeline)
        } else {
            of_command(&command.text)
        },
    };
    commands.iter().map(row).collect()
}

fn of_release(chart: &str, declared: &Declared, pipeline: &Pipeline) -> Cover {
    for stage in &pipeline.stages {
        for step in &stage.steps {
            if let Applies::Release(name) = step.kind.applies()
                && declared.release(name).is_some_and(|release| release.chart.name() == chart)
            {
                return Cover::Covered(format!("step {}/{}", stage.name, step.name()));
            }
        }
    }
    match declared.releases.iter().find(|release| release.chart.name() == chart) {
        Some(release) => Cover::Covered(format!("Flux installs {} after the hand-over", release.id)),
        None => Cover::NotCovered("no HelmRelease in the repository installs it".to_owned()),
    }
}

/// Patterns that identify a command, in order of precedence, and its replacement.
const KNOWN: [(&[&str], Outcome); 26] = [
    (&["talosctl"], MACHINES),
    (&["talhelper"], MACHINES),
    (&["kubeadm"], MACHINES),
    (&["ansible"], MACHINES),
    (&["k3sup"], MACHINES),
    (&["op inject", "kubectl"], NEEDS_TEMPLATE),
    (&["op inject"], NEEDS_TEMPLATE),
    (&["op run"], NEEDS_TEMPLATE),
    (&["sops", "kubectl"], NEEDS_FILE),
    (&["sops exec"], NEEDS_FILE),
    (&["kubectl", "create secret"], NEEDS_VALUES),
    (&["create namespace"], Outcome::Covered("stage prerequisites (namespaces: declared)")),
    (&["helmfile", "kubectl"], Outcome::Covered("stage crds, for the CRDs that have to be there first")),
    (&["customresourcedefinition"], Outcome::Covered("stage crds")),
    (&["crds"], Outcome::Covered("stage crds")),
    (&["helmfile"], Outcome::Covered("stages network, dns and flux; see the releases of its helmfile")),
    (
        &["helm", "upgrade"],
        Outcome::Covered("stages network, dns and flux, if a HelmRelease declares the chart"),
    ),
    (
        &["helm", "install"],
        Outcome::Covered("stages network, dns and flux, if a HelmRelease declares the chart"),
    ),
    (&["helm", "repo"], Outcome::Covered("charts are fetched from the declared sources")),
    (&["flux bootstrap"], Outcome::Covered("stages flux and sync")),
    (&["flux install"], Outcome::Covered("stage flux")),
    (&["flux", "reconcile"], Outcome::Covered("`bootstrapper reconcile`")),
    (&["flux-operator"], Outcome::Covered("stage flux")),
    (&["kubectl", "wait"], Outcome::Covered("every step waits until what it applied is ready")),
    (&["kubectl", "rollout status"], Outcome::Covered("every step waits until what it applied is ready")),
    (&["kubectl", "get"], Outcome::Covered("`bootstrapper status` and `bootstrapper doctor`")),
];

#[derive(Clone, Copy)]
enum Outcome {
    Covered(&'static str),
    Needs(&'static str),
    NotCovered(&'static str),
}

const MACHINES: Outcome = Outcome::NotCovered("machines: before the API server answers");
const NEEDS_TEMPLATE: Outcome = Outcome::Needs("an entry `template:` under secrets in bootstrapper.yaml");
const NEEDS_FILE: Outcome = Outcome::Needs("an entry `file:` under secrets in bootstrapper.yaml");
const NEEDS_VALUES: Outcome = Outcome::Needs("an entry with `data:` under secrets in bootstrapper.yaml");

fn of_command(text: &str) -> Cover {
    let text = text.to_lowercase();
    let words = |needle: &str| text.contains(needle);
    if ["delete", "uninstall", "rm "].iter().any(|word| words(word)) {
        return Cover::NotCovered("it removes something: a bootstrap does not".to_owned());
    }
    let known = KNOWN.iter().find(|(needles, _)| needles.iter().all(|needle| words(needle)));
    match known {
        Some((_, Outcome::Covered(by))) => Cover::Covered((*by).to_owned()),
        Some((_, Outcome::Needs(what))) => Cover::Needs((*what).to_owned()),
        Some((_, Outcome::NotCovered(why))) => Cover::NotCovered((*why).to_owned()),
        None if words("kubectl") && words("apply") => {
            Cover::Needs("a Kustomization that applies it, or a step `objects:` in tasks/*.yaml".to_owned())
        }
        None => Cover::NotCovered("a step `command:` in tasks/*.yaml can run it".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_an_answer() {
        let covered = |text: &str| matches!(of_command(text), Cover::Covered(_));
        let needs = |text: &str| matches!(of_command(text), Cover::Needs(_));
        for text in [
            "kubectl create namespace flux-system --dry-run=client -o yaml | kubectl apply -f -",
            "helmfile -f bootstrap/helmfile.yaml template | yq 'select(.kind == \"CustomResourceDefinition\")' | kubectl apply -f -",
            "helmfile --file helmfile.yaml apply --skip-diff-on-install",
            "flux bootstrap github --owner=me",
            "until kubectl wait nodes --for=condition=Ready --all; do",
            "kubectl apply --server-side -f https://x.test/gateway-api-crds.yaml",
        ] {
            assert!(covered(text), "{text}: {:?}", of_command(text));
        }
        for text in [
            "sops exec-file age-key.sops.yaml 'kubectl apply -f {}'",
            "sops --decrypt deploy-key.sops.yaml | kubectl apply -f -",
            "op inject -i secrets.yaml.tpl | kubectl apply -f -",
            "kubectl create secret generic sops-age --from-file=age.agekey",
            "kubectl apply -f ./wipe.yaml",
        ] {
            assert!(needs(text), "{text}: {:?}", of_command(text));
        }
        assert_eq!(
            of_command("talosctl bootstrap"),
            Cover::NotCovered("machines: before the API server answers".into())
        );
        assert!(matches!(of_command("./notify.sh"), Cover::NotCovered(_)));
    }
}
