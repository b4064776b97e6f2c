//! Objects that are too large for an API server.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::fleet::Placed;
use crate::{Finding, Fleet, Rule, Severity};
use bootstrapper_gitops::order::Kind;
use bootstrapper_gitops::pipeline::{StepKind, StepSpec};

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "object-too-large",
        severity: Severity::Error,
        summary: "an object is larger than an API server accepts",
        why: "the API server rejects it: 1 MiB of data in a ConfigMap or Secret, 256 KiB of annotations, 1.5 MiB in etcd",
        fix: "split it, or keep the data elsewhere (a volume, an image, an artifact)",
        check: too_large,
    },
    Rule {
        name: "too-large-for-apply",
        severity: Severity::Error,
        summary: "a command applies an object of more than 256 KiB client-side",
        why: "`kubectl apply` keeps the whole object in an annotation, which may have 256 KiB: the API server rejects it (`metadata.annotations: Too long`)",
        fix: "use `kubectl apply --server-side`, or a step `crds:` or `objects:`",
        check: too_large_for_apply,
    },
];

const DATA: usize = 1024 * 1024;
const ANNOTATIONS: usize = 256 * 1024;
/// What etcd takes in one request, unless it is configured.
const REQUEST: usize = 1536 * 1024;

fn too_large(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each_object(|placed| {
        let found = of_data(placed).or_else(|| of_annotations(placed)).or_else(|| of_whole(placed));
        let finding = found.map(|(field, size, what, limit)| {
            let message = format!(
                "{}: {what} {} KiB, and an API server accepts {} KiB",
                placed.id(),
                size.div_ceil(1024),
                limit / 1024
            );
            placed.finding(rule, field, message)
        });
        finding.into_iter().collect()
    })
}

type TooLarge = (&'static str, usize, &'static str, usize);

/// The values of a ConfigMap or Secret together.
fn of_data(placed: Placed<'_>) -> Option<TooLarge> {
    let is_secret = placed.is("", "Secret");
    if !is_secret && !placed.is("", "ConfigMap") {
        return None;
    }
    let texts = |field: &str| {
        let entries = placed.field(&[field]).as_object().into_iter().flatten();
        entries.filter_map(|(_, value)| value.as_str())
    };
    let decoded = |text: &str| {
        let text: String = text.split_ascii_whitespace().collect();
        STANDARD.decode(&text).map_or(0, |bytes| bytes.len())
    };
    let encoded_field = if is_secret { "data" } else { "binaryData" };
    let plain_field = if is_secret { "stringData" } else { "data" };
    let size =
        texts(plain_field).map(str::len).sum::<usize>() + texts(encoded_field).map(decoded).sum::<usize>();
    (size > DATA).then_some(("data", size, "its data has", DATA))
}

fn of_annotations(placed: Placed<'_>) -> Option<TooLarge> {
    let all = placed.object.metadata.annotations.as_ref()?;
    let size = all.iter().map(|(key, value)| key.len() + value.len()).sum();
    (size > ANNOTATIONS).then_some(("metadata.annotations", size, "its annotations have", ANNOTATIONS))
}

/// Objects of CRDs, and CRDs themselves, are stored as JSON.
fn of_whole(placed: Placed<'_>) -> Option<TooLarge> {
    Kind::of(&placed.id())?;
    let size = size_of(placed);
    (size > REQUEST).then_some(("kind", size, "it has", REQUEST))
}

fn size_of(placed: Placed<'_>) -> usize {
    serde_json::to_string(placed.object).map_or(0, |text| text.len())
}

fn too_large_for_apply(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    let steps = fleet.steps().filter_map(|step| Some((step, applied(step)?)));
    let found = steps.filter_map(|(step, folders)| {
        let large = fleet.objects().find(|placed| {
            let file = placed.written.map(|written| &written.file);
            file.is_some_and(|file| folders.iter().any(|folder| file.starts_with(folder)))
                && size_of(*placed) > ANNOTATIONS
        })?;
        let message =
            format!("`kubectl apply` of {}, which has {} KiB", large.id(), size_of(large).div_ceil(1024));
        Some(Finding::of(rule, message).about(&large.id()).at(Some(step.place().clone())))
    });
    found.collect()
}

/// What a step applies client-side: files and folders of the repository.
fn applied(step: &StepSpec) -> Option<Vec<String>> {
    let StepKind::Command(command) = &step.kind else { return None };
    let words: Vec<&str> = command.0.iter().flat_map(|word| word.split_whitespace()).collect();
    let program = words.iter().position(|word| *word == "kubectl" || word.ends_with("/kubectl"))?;
    let rest = words.get(program..)?;
    let is_client_side = rest.contains(&"apply")
        && !rest.iter().any(|word| word.starts_with("--server-side") && !word.ends_with("=false"));
    let clean = |word: &str| word.trim_start_matches("./").trim_end_matches('/').to_owned();
    let options = ["-f", "--filename", "-k", "--kustomize"];
    let after = rest.windows(2).filter(|pair| options.contains(&pair[0])).map(|pair| pair[1]);
    let joined = rest.iter().filter_map(|word| {
        let (option, file) = word.split_once('=')?;
        options.contains(&option).then_some(file)
    });
    let files = after.chain(joined).map(clean);
    let files: Vec<String> = files.filter(|file| !file.is_empty() && file != "-").collect();
    (is_client_side && !files.is_empty()).then_some(files)
}
