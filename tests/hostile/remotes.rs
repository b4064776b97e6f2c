//! Addresses and paths that a repository names, in every field that takes one.

use crate::input::{APP, Content, Input, MANIFEST, PARTS, READ, READ_CHARTS, TASKS};
use crate::world::World;

/// Addresses that a kustomization may not be led to.
fn addresses(world: &World) -> Vec<String> {
    let run = world.set_off().display().to_string();
    let (outside, caller) = (world.outside().display().to_string(), world.address());
    let mut addresses = vec![
        format!("file:///x//y?ref=--upload-pack=touch {run}"),
        format!("file:///x//y?ref=--upload-pack=touch%20{run}"),
        format!("git::file:///x//y?ref=--upload-pack=touch {run}"),
        format!("https://{caller}/x//y?ref=--upload-pack=touch {run}"),
        format!("https://git@{caller}/x//y?ref=-u%20touch%20{run}"),
        format!("ext::sh -c touch% {run}"),
        format!("git::ext::sh -c touch% {run}"),
        format!("ext::sh -c touch% {run} //y?ref=main"),
        format!("fd::17/touch {run}"),
        format!("ssh://-oProxyCommand=touch${{IFS}}{run}/x//y?ref=main"),
        format!("git@-oProxyCommand=touch {run}:x/y.git?ref=main"),
        format!("ssh://git@127.0.0.1 -oProxyCommand=touch {run}/x.git//y"),
        format!("-oProxyCommand=touch {run}@127.0.0.1:x/y.git"),
        format!("--upload-pack=touch {run}"),
        format!("$(touch {run})"),
        format!("`touch {run}`"),
        format!("| touch {run}"),
        format!("file://{outside}"),
        format!("file://{outside}//.?ref=main"),
        format!("git::file://{outside}"),
        format!("{outside}/.git//x"),
        format!("{outside}/stolen.yaml"),
        outside.clone(),
        format!("../../../../../../../../../../../..{outside}"),
        format!("../../../../../../../../../../../..{outside}/stolen.yaml"),
        format!("./x/../../../../../../../../../../../..{outside}/stolen.yaml"),
        "/etc/passwd".into(),
        "/proc/self/environ".into(),
        "/proc/self/fd/0".into(),
        "/dev/zero".into(),
        "/dev/stdin".into(),
        "/dev/random".into(),
        "~/outside".into(),
        "~/outside/stolen.yaml".into(),
        "$HOME/outside/stolen.yaml".into(),
        "${HOME}/outside/stolen.yaml".into(),
    ];
    addresses.extend([
        format!("http://{caller}/${{BGP_PASSWORD}}"),
        format!("http://{caller}/x.yaml"),
        format!("ftp://{caller}/x.yaml"),
        format!("git://{caller}/x//y?ref=main"),
        format!("gopher://{caller}/x"),
        format!("dict://{caller}/x"),
        format!("git::http://{caller}/x.git//y?ref=main"),
        format!("git::git://{caller}/x//y"),
        format!("rsync://{caller}/x.git//y"),
        format!("svn+ssh://{caller}/x.git//y"),
        format!("http://{caller}/x.git//y?submodules=true&ref=main"),
    ]);
    addresses
}

/// Fields of a kustomization that name files.
const FIELDS: [(&str, &str, &str); 15] = [
    ("resources", "[", "]"),
    ("components", "[", "]"),
    ("bases", "[", "]"),
    ("crds", "[", "]"),
    ("configurations", "[", "]"),
    ("transformers", "[", "]"),
    ("generators", "[", "]"),
    ("validators", "[", "]"),
    ("patchesStrategicMerge", "[", "]"),
    ("patches", "[{path: ", ", target: {kind: ConfigMap}}]"),
    ("replacements", "[{path: ", "}]"),
    ("openapi", "{path: ", "}"),
    ("configMapGenerator", "[{name: made, files: [", "]}]"),
    ("secretGenerator", "[{name: made, envs: [", "]}]"),
    ("helmCharts", "[{name: x, repo: ", ", releaseName: x}]"),
];

pub(crate) fn inputs(world: &World) -> Vec<Input> {
    let addresses = addresses(world);
    let mut inputs = Vec::new();
    for (at, address) in addresses.iter().enumerate() {
        let quoted = serde_json::json!(address).to_string();
        for (field, before, after) in FIELDS {
            // Every address as a resource; in the other fields those that run or read something.
            if field != "resources" && at % 5 != 0 && !address.contains("stolen.yaml") {
                continue;
            }
            let base = if field == "resources" { "" } else { "resources: [app.yaml]\n" };
            let text = format!("{base}{field}: {before}{quoted}{after}\n");
            let secret_or_refused = address.contains("BGP_PASSWORD") || !address.starts_with("http");
            let input = Input::text(format!("{field} {address}"), APP, text).verbs(&[&["validate"]]);
            inputs.push(if secret_or_refused { input.calls_nobody() } else { input });
        }
    }
    inputs.extend(addresses.iter().filter(|address| !address.starts_with("http")).map(|address| {
        let quoted = serde_json::json!(address).to_string();
        let text =
            std::fs::read_to_string(crate::common::root().join("tests/broken/base/tasks/bootstrap.yaml"));
        let text = format!(
            "{}      - crds: {{manifest: {quoted}}}\n",
            text.unwrap().replace("- release: cilium\n", "")
        );
        Input::text(format!("a manifest of CRDs {address}"), TASKS, text).verbs(&[&["validate"]])
    }));
    inputs.extend(sources(world));
    inputs.extend(paths(world));
    inputs
}

/// Sources of charts.
fn sources(world: &World) -> Vec<Input> {
    let (caller, run, outside) =
        (world.address(), world.set_off().display().to_string(), world.outside().display().to_string());
    let urls = [
        format!("http://{caller}/${{BGP_PASSWORD}}"),
        format!("http://x:${{BGP_PASSWORD}}@{caller}/"),
        format!("http://{caller}/?p=${{BGP_PASSWORD}}"),
        format!("http://{caller}/${{BGP_PASSWORD:0:4}}"),
        format!("oci://{caller}/${{BGP_PASSWORD}}"),
        format!("file://{outside}"),
        format!("--post-renderer=touch {run}"),
        format!("git+file://{outside}"),
        format!("plugin://touch {run}"),
        outside,
    ];
    let mut inputs = Vec::new();
    for url in urls {
        let quoted = serde_json::json!(url).to_string();
        let chart = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: x, namespace: default}\nspec: {interval: 1h, chart: {spec: {chart: x, version: 1.0.0, sourceRef: {kind: HelmRepository, name: x}}}}\n";
        let repository = format!(
            "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata: {{name: x, namespace: default}}\nspec: {{interval: 1h, url: {quoted}}}\n---\n{chart}"
        );
        inputs.push(
            Input::text(format!("HelmRepository {url}"), MANIFEST, repository)
                .verbs(READ_CHARTS)
                .calls_nobody(),
        );
        let oci = format!(
            "apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {{name: x, namespace: default}}\nspec: {{interval: 1h, url: {quoted}, ref: {{tag: 1.0.0}}}}\n---\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{name: x, namespace: default}}\nspec: {{interval: 1h, chartRef: {{kind: OCIRepository, name: x}}}}\n"
        );
        inputs.push(
            Input::text(format!("OCIRepository {url}"), MANIFEST, oci).verbs(READ_CHARTS).calls_nobody(),
        );
    }
    inputs
}

/// Folders that a Flux Kustomization names.
fn paths(world: &World) -> Vec<Input> {
    let outside = world.outside();
    let up = format!("../../../../../../../../../../..{}", outside.display());
    let mut inputs: Vec<Input> =
        [outside.display().to_string(), up, "/".into(), "..".into(), "/proc/self".into(), "~".into()]
            .iter()
            .map(|path| {
                let text = crate::input::BASE.iter().find(|(place, _)| *place == PARTS).unwrap().1;
                let quoted = serde_json::json!(path).to_string();
                Input::text(format!("spec.path {path}"), PARTS, text.replace("./kubernetes/app", &quoted))
            })
            .collect();
    let link = |name: &str, place: &str, to: std::path::PathBuf| {
        Input::new(format!("a link out: {name}"), place, Content::Link(to)).verbs(READ)
    };
    inputs.push(link("a manifest", MANIFEST, outside.join("stolen.yaml")));
    inputs.push(link("a kustomization", APP, outside.join("kustomization.yaml")));
    inputs.push(
        link("a folder", "kubernetes/app/more", outside.clone())
            .and(APP, Content::Text("resources: [app.yaml, more]\n".into())),
    );
    inputs.push(
        link("a file of a folder", "kubernetes/app/more", outside.clone())
            .and(APP, Content::Text("resources: [app.yaml, more/stolen.yaml]\n".into())),
    );
    inputs.push(
        link("a chain", "kubernetes/app/one", "two".into())
            .and("kubernetes/app/two", Content::Link(outside.join("stolen.yaml")))
            .and(APP, Content::Text("configMapGenerator: [{name: x, files: [one]}]\n".into())),
    );
    inputs.push(link("settings", crate::input::SETTINGS, outside.join("stolen.yaml")));
    inputs.push(link("tasks", TASKS, outside.join("stolen.yaml")));
    inputs.push(link("bootstrapper.yaml", crate::input::CONFIG, outside.join("stolen.yaml")));
    inputs
}
