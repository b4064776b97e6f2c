//! Renders the proposed `bootstrapper.yaml`.

use std::fmt::Write as _;
use std::path::Path;

use super::contexts::Context;
use super::probable_source::ProbableSource;
use super::secrets::NeededSecret;
use bootstrapper_core::yaml::written::flow_scalar as scalar;

/// The proposal for a cluster.
#[derive(Debug, Clone)]
pub struct ClusterProposal {
    /// Its name.
    pub name: String,
    /// Its kubeconfig context.
    pub context: Context,
    /// What Flux needs, and nothing in the repository installs: `version` (Flux) or `operator`.
    pub lacking: Option<&'static str>,
    /// The Secrets without a provider, and where their values probably are.
    pub secrets: Vec<(NeededSecret, ProbableSource)>,
}

/// The content of `bootstrapper.yaml`.
pub fn config_text(clusters: &[ClusterProposal]) -> String {
    let mut text =
        "# What bootstrapper cannot read in the repository: contexts, and Secrets that nothing makes.\n\
                    # `bootstrapper schema config` prints its schema.\nclusters:\n"
            .to_owned();
    for cluster in clusters {
        let body = cluster_text(cluster);
        let name = scalar(&cluster.name);
        if body.lines().all(|line| line.trim_start().starts_with('#')) {
            let _ = write!(text, "  {name}: {{}}\n{body}");
        } else {
            let _ = write!(text, "  {name}:\n{body}");
        }
    }
    text
}

fn cluster_text(cluster: &ClusterProposal) -> String {
    let mut text = String::new();
    match &cluster.context {
        Context::SameName => {}
        Context::Named(context) => {
            let _ = writeln!(text, "    context: {}", scalar(context));
        }
        Context::Unknown(all) if all.is_empty() => {
            let _ = writeln!(
                text,
                "    # context: NAME   (if its kubeconfig context is not called {})",
                comment(&cluster.name)
            );
        }
        Context::Unknown(all) => {
            let _ = writeln!(text, "    # context: one of {}", comment(&all.join(", ")));
        }
    }
    if let Some(lacking) = cluster.lacking {
        let what = if lacking == "operator" { "the Flux operator" } else { "Flux" };
        let _ = writeln!(
            text,
            "    # flux: {{{lacking}: VERSION}}   (nothing in the repository installs {what})"
        );
    }
    if cluster.secrets.is_empty() {
        return text;
    }
    text.push_str("    secrets:\n");
    let mut written = std::collections::BTreeSet::new();
    for (needed, home) in &cluster.secrets {
        // One entry covers all Secrets of a file.
        if let ProbableSource::Sops(file) | ProbableSource::Template(file) = home
            && !written.insert(file)
        {
            continue;
        }
        for by in &needed.needed_by {
            let _ = writeln!(text, "      # needed by {}", comment(by));
        }
        text.push_str(&entry(needed, home));
    }
    text
}

fn entry(needed: &NeededSecret, home: &ProbableSource) -> String {
    let path = |path: &Path| scalar(&path.to_string_lossy());
    match home {
        ProbableSource::Sops(file) => return format!("      - file: {}\n", path(file)),
        ProbableSource::Template(file) => return format!("      - template: {}\n", path(file)),
        ProbableSource::AgeKey(_) | ProbableSource::Machine | ProbableSource::Unknown => {}
    }
    let (name, namespace) = (scalar(&needed.name), scalar(&needed.namespace));
    let mut text = format!("      - name: {name}\n        namespace: {namespace}\n");
    if needed.keys.contains(".dockerconfigjson") {
        text.push_str("        type: kubernetes.io/dockerconfigjson\n");
    }
    text.push_str("        data:\n");
    let keys: Vec<&str> = match needed.keys.iter().map(String::as_str).collect::<Vec<_>>() {
        none if none.is_empty() => vec!["KEY"],
        keys => keys,
    };
    for key in keys {
        let source = match home {
            ProbableSource::AgeKey(file) if key.ends_with(".agekey") => format!("{{file: {}}}", path(file)),
            ProbableSource::Machine if key.ends_with(".agekey") => "{age: machine}".to_owned(),
            // No known source: propose an environment variable.
            _ => format!("{{env: {}}}", variable(&needed.name, key)),
        };
        let _ = writeln!(text, "          {}: {source}", scalar(key));
    }
    text
}

/// `SOPS_AGE_IDENTITY` for the key `identity` of the Secret `sops-age`.
fn variable(name: &str, key: &str) -> String {
    let word = |text: &str| -> String {
        let upper = text.to_ascii_uppercase();
        upper.chars().map(|one| if one.is_ascii_alphanumeric() { one } else { '_' }).collect()
    };
    let joined = format!("{}_{}", word(name), word(key).trim_matches('_'));
    if joined.starts_with(|first: char| first.is_ascii_digit()) { format!("S_{joined}") } else { joined }
}

fn comment(text: &str) -> String {
    text.chars().filter(|one| !one.is_control()).collect()
}
