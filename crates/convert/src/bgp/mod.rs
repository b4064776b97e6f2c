//! Migrates `CiliumBGPPeeringPolicy` (cilium.io/v2alpha1, removed in Cilium 1.19) to its replacements
//! `CiliumBGPClusterConfig`, `CiliumBGPPeerConfig` and `CiliumBGPAdvertisement` (cilium.io/v2).
//!
//! The behaviour of the old agent is preserved, according to Cilium 1.18's `pkg/bgpv1` and 1.20's `pkg/bgp`:
//! where a default differs, the old one is written explicitly; a policy with a setting that has no
//! replacement is rejected and left unchanged.

mod advertisements;
mod attributes;
mod dedup;
mod fields;
mod names;
mod nodes;
mod objects;
mod peer;
mod policy;

use std::path::Path;

use self::fields::Problems;
use self::objects::Objects;
use self::policy::{OLD_KIND, Policy};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::yaml::written::{Document, documents, read, write};

const NEW_KINDS: [&str; 3] = ["CiliumBGPClusterConfig", "CiliumBGPPeerConfig", "CiliumBGPAdvertisement"];

/// A converted stream of documents.
#[derive(Debug)]
pub struct Converted {
    /// The stream. Documents of other kinds and rejected policies are unchanged.
    pub text: String,
    /// The number of converted policies.
    pub policies: usize,
    /// Why other policies were rejected.
    pub refusals: Vec<Failure>,
}

/// Converts the policies of a stream of YAML documents. `file` appears in messages. Equal peer configs and
/// advertisements are shared within the stream.
pub fn convert_bgp(stream: &str, file: &Path) -> Result<Converted> {
    let documents = documents(stream);
    let mut objects = Objects::default();
    for document in documents.iter().filter(|one| NEW_KINDS.iter().any(|kind| one.text.contains(kind))) {
        if let Some((root, _)) = read(document.text, document.line, file)? {
            objects.reserve_names_of(&root);
        }
    }
    let mut converted = Converted { text: String::new(), policies: 0, refusals: Vec::new() };
    for document in documents {
        match convert(document, file, &mut objects) {
            Ok(Some(text)) => {
                converted.policies += 1;
                converted.text.push_str(document.separator);
                if !document.separator.is_empty() && !document.separator.ends_with('\n') {
                    converted.text.push('\n');
                }
                converted.text.push_str(&text);
            }
            Ok(None) => converted.text.extend([document.separator, document.text]),
            Err(problems) => {
                converted.refusals.extend(problems);
                converted.text.extend([document.separator, document.text]);
            }
        }
    }
    Ok(converted)
}

/// The replacement documents of a policy; none if the document is not a policy.
fn convert(
    document: Document<'_>,
    file: &Path,
    objects: &mut Objects,
) -> Result<Option<String>, Vec<Failure>> {
    if !document.text.contains(OLD_KIND) {
        return Ok(None);
    }
    let Some((root, below)) = read(document.text, document.line, file).map_err(|failure| vec![failure])?
    else {
        return Ok(None);
    };
    let mut problems = Problems::of(file);
    if root.get("kind").and_then(|kind| kind.as_text()) != Some(OLD_KIND) {
        // A list of policies, or a patch of one.
        for (_, mark) in root.scalars().into_iter().filter(|(scalar, _)| scalar.text.contains(OLD_KIND)) {
            problems.refuse(
                mark,
                format!("{OLD_KIND} is used here, but only documents of that kind are converted"),
                "write the policy as a separate document, or change this manually",
            );
        }
        return if problems.is_empty() { Ok(None) } else { Err(problems.into_failures()) };
    }
    let policy = Policy::read(root, &mut problems);
    match policy.filter(|_| problems.is_empty()).map(|policy| objects.of_policy(&policy, &mut problems)) {
        Some(made) if problems.is_empty() => {
            let last = made.len().saturating_sub(1);
            let texts = made.iter().enumerate().map(|(at, object)| {
                let below: &[String] = if at == last { &below } else { &[] };
                write(object, below)
            });
            Ok(Some(texts.collect::<Vec<_>>().join("---\n")))
        }
        _ => Err(problems.into_failures()),
    }
}

#[cfg(test)]
mod tests;
