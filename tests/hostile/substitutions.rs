//! Values and patterns that grow.

use crate::input::{Content, Input, MANIFEST, SETTINGS};
use crate::world::{TREASURE, World};

const HEAD: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app, namespace: default}\ndata:\n";

fn settings(pairs: &[(String, String)]) -> Content {
    let data: serde_json::Map<_, _> =
        pairs.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    Content::Text(
        serde_json::json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "cluster-settings", "namespace": "flux-system"}, "data": data,
        })
        .to_string(),
    )
}

pub(crate) fn inputs(world: &World) -> Vec<Input> {
    let long = "a".repeat(100_000);
    let one = vec![("DOMAIN".to_owned(), long.clone())];
    let expressions = [
        "${DOMAIN}".repeat(20_000),
        "${DOMAIN//a/bbbbbbbbbb}".repeat(50),
        "${DOMAIN//a/${DOMAIN}}".to_owned(),
        "${DOMAIN//a/${DOMAIN//a/${DOMAIN}}}".to_owned(),
        format!("${{DOMAIN##{}b}}", "*a".repeat(40)),
        format!("${{DOMAIN%%b{}}}", "a*".repeat(40)),
        format!("${{DOMAIN##{}}}", "[a-z]*".repeat(60)),
        format!("${{DOMAIN//{}b/x}}", "*a".repeat(30)),
        format!("${{DOMAIN#{}}}", "?".repeat(100_000)),
        format!("${{DOMAIN//{}/x}}", "[".repeat(1000)),
        "${DOMAIN:-".repeat(20_000),
        format!("{}x{}", "${NOT_THERE:-".repeat(500), "}".repeat(500)),
        format!("{}x{}", "${NOT_THERE:=".repeat(5000), "}".repeat(5000)),
        "${DOMAIN^^}".repeat(2000),
        "${DOMAIN:999999999999:999999999999}".to_owned(),
        "${DOMAIN:-999999999999}".to_owned(),
        "${#DOMAIN}".repeat(1000),
        "${".to_owned(),
        "$".repeat(100_000),
        "$$${DOMAIN}$$".repeat(1000),
        "${DOMAIN/\u{0}/x}".replace('\u{0}', "\\0"),
    ];
    let mut inputs: Vec<Input> = expressions
        .iter()
        .enumerate()
        .map(|(at, expression)| {
            let text = format!("{HEAD}  a: {}\n", serde_json::json!(expression));
            let shown: String = expression.chars().take(40).collect();
            Input::text(format!("substitution {at} {shown}"), MANIFEST, text).and(SETTINGS, settings(&one))
        })
        .collect();
    let doubling: Vec<(String, String)> = (0..64)
        .map(|at| (format!("V{at}"), format!("${{V{0}}}${{V{0}}}", at + 1)))
        .chain([("V64".into(), "x".into())])
        .collect();
    inputs.push(
        Input::text("values that double", MANIFEST, format!("{HEAD}  a: \"${{V0}}\"\n"))
            .and(SETTINGS, settings(&doubling)),
    );
    let lines = ("DOMAIN".to_owned(), "x\nkind: Secret\n---\napiVersion: v1\n".to_owned());
    inputs.push(
        Input::text("a value of several lines", MANIFEST, format!("{HEAD}  a: ${{DOMAIN}}\n"))
            .and(SETTINGS, settings(&[lines])),
    );
    for field in
        ["name: ${BGP_PASSWORD}", "namespace: ${BGP_PASSWORD}", "name: app, labels: {a: \"${BGP_PASSWORD}\"}"]
    {
        let text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{{field}}}\n");
        inputs.push(Input::text(format!("a secret as {field}"), MANIFEST, text));
    }
    for (kind, field) in [
        ("Service", "spec: {ports: \"${BGP_PASSWORD}\"}"),
        ("Deployment", "spec: {replicas: ${BGP_PASSWORD}}"),
        ("${BGP_PASSWORD}", "spec: {}"),
    ] {
        let text =
            format!("apiVersion: v1\nkind: {kind}\nmetadata: {{name: x, namespace: default}}\n{field}\n");
        inputs.push(Input::text(format!("a secret in {kind} {field}"), MANIFEST, text));
    }
    let clear = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: x, namespace: default}}\nstringData: {{a: {TREASURE}}}\ntype: [{TREASURE}]\nimmutable: {TREASURE}\n"
    );
    inputs.push(Input::text("a Secret in the clear that is no Secret", MANIFEST, clear));
    inputs.push(Input::text(
        "a file outside as a secret",
        crate::input::CONFIG,
        format!("clusters: {{home: {{secrets: [{{name: cluster-secrets, namespace: flux-system, data: {{BGP_PASSWORD: {{file: {}/stolen.yaml}}}}}}]}}}}\n", world.outside().display()),
    ));
    inputs
}
