//! What `convert bgp` writes is what Cilium 1.20's CRDs take.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use bootstrapper::convert::convert_bgp;
use bootstrapper::gitops::substitute;
use bootstrapper::yaml;
use predicates::prelude::*;
use predicates::str::contains;
use regex::Regex;
use serde_json::Value;

const CILIUM: &str = "github.com/cilium/cilium@v1.20.2";

/// The schemas of the kinds that the conversion makes, as Cilium's operator installs them.
fn schemas() -> BTreeMap<String, Value> {
    let nowhere = tempfile::tempdir().unwrap();
    let output = Command::new("go")
        .args(["mod", "download", "-json", CILIUM])
        .current_dir(nowhere.path())
        .output()
        .expect("Go is there: the CRDs lie in a Go module");
    let module: Value = serde_json::from_slice(&output.stdout).unwrap();
    let folder = Path::new(module["Dir"].as_str().unwrap()).join("pkg/k8s/apis/cilium.io/client/crds/v2");
    ["clusterconfigs", "peerconfigs", "advertisements"]
        .map(|kind| {
            let file = folder.join(format!("ciliumbgp{kind}.yaml"));
            let crd: Value = yaml::from_str(&std::fs::read_to_string(&file).unwrap(), &file).unwrap();
            let versions = crd["spec"]["versions"].as_array().unwrap();
            let version = versions.iter().find(|version| version["name"] == "v2").unwrap();
            let kind = crd["spec"]["names"]["kind"].as_str().unwrap().to_owned();
            (kind, version["schema"]["openAPIV3Schema"].clone())
        })
        .into()
}

/// A value as the API server completes it before it looks at rules.
fn completed(schema: &Value, mut value: Value) -> Value {
    if let Some(object) = value.as_object_mut() {
        for (name, of_name) in schema["properties"].as_object().into_iter().flatten() {
            if let Some(own) = object.remove(name).or_else(|| of_name.get("default").cloned()) {
                object.insert(name.clone(), completed(of_name, own));
            }
        }
    }
    if let Some(items) = value.as_array_mut() {
        for item in items {
            *item = completed(&schema["items"], item.take());
        }
    }
    value
}

/// What of a value breaks a structural schema: what the API server would refuse, or prune.
fn breaches(schema: &Value, value: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut breach = |what: String| found.push(format!("{path}: {what}"));
    let is_of_type = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        other => panic!("{path}: a type that this test does not know: {other:?}"),
    };
    if !is_of_type {
        breach(format!("{value} is no {}", schema["type"]));
        return found;
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        breach(format!("{value} is none of {allowed:?}"));
    }
    if let (Some(pattern), Some(text)) = (schema["pattern"].as_str(), value.as_str())
        && !Regex::new(pattern).unwrap().is_match(text)
    {
        breach(format!("{text} does not match"));
    }
    let size = value
        .as_i64()
        .or_else(|| value.as_str().map(|text| i64::try_from(text.len()).unwrap()))
        .or_else(|| value.as_array().map(|items| i64::try_from(items.len()).unwrap()));
    let limits = |names: [&str; 3]| names.iter().find_map(|name| schema[*name].as_i64());
    if let (Some(size), Some(least)) = (size, limits(["minimum", "minLength", "minItems"]))
        && size < least
    {
        breach(format!("less than {least}"));
    }
    if let (Some(size), Some(most)) = (size, limits(["maximum", "maxLength", "maxItems"]))
        && size > most
    {
        breach(format!("more than {most}"));
    }
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let program = cel::Program::compile(rule["rule"].as_str().unwrap()).unwrap();
        let mut context = cel::Context::default();
        context.add_variable("self", value.clone()).unwrap();
        // A value of another type is told above; a rule cannot judge it.
        if !matches!(program.execute(&context), Ok(cel::Value::Bool(true))) {
            breach(rule["message"].to_string());
        }
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.get(name).is_none() {
            breach(format!("{name} is missing"));
        }
    }
    for (at, item) in value.as_array().into_iter().flatten().enumerate() {
        found.extend(breaches(&schema["items"], item, &format!("{path}[{at}]")));
    }
    for (name, item) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        match (schema["properties"].get(name), schema.get("additionalProperties")) {
            _ if path == ".metadata" => {}
            (Some(of_name), _) => found.extend(breaches(of_name, item, &path)),
            (None, Some(of_any)) => found.extend(breaches(of_any, item, &path)),
            (None, None) => found.push(format!("{path}: not known")),
        }
    }
    found
}

/// Every field of the old kind.
const EVERYTHING: &str = r#"
apiVersion: cilium.io/v2alpha1
kind: CiliumBGPPeeringPolicy
metadata:
  name: rack0.home
  annotations: {about: "the first rack"}
spec:
  nodeSelector:
    matchLabels: {rack: rack0}
    matchExpressions:
      - {key: role, operator: In, values: [worker]}
  virtualRouters:
    - localASN: ${LOCAL_ASN}
      exportPodCIDR: true
      podIPPoolSelector: {matchLabels: {pool: public}}
      serviceSelector:
        matchExpressions:
          - {key: advertise, operator: NotIn, values: ["false"]}
      serviceAdvertisements: [LoadBalancerIP, ExternalIP, ClusterIP]
      neighbors:
        - peerAddress: ${ROUTER_CIDR}
          peerASN: ${PEER_ASN}
          peerPort: 179
          authSecretRef: bgp-auth
          eBGPMultihopTTL: 4
          connectRetryTimeSeconds: 60
          holdTimeSeconds: 30
          keepAliveTimeSeconds: 10
          gracefulRestart: {enabled: true, restartTimeSeconds: 120}
          families:
            - {afi: ipv4, safi: unicast}
          advertisedPathAttributes:
            - selectorType: PodCIDR
              communities:
                standard: ["64512:100"]
                wellKnown: [no-export]
                large: ["64512:1:1"]
            - selectorType: CiliumLoadBalancerIPPool
              localPreference: 150
            - selectorType: CiliumPodIPPool
              selector: {matchLabels: {zone: a}}
              communities: {standard: ["64512:200"]}
        - peerAddress: fd00:10::1/128
          peerASN: 64502
    - localASN: 64513
      neighbors:
        - {peerAddress: 10.0.0.2/32, peerASN: 64513}
"#;

#[test]
fn what_is_written_is_what_the_crds_take() {
    let converted = convert_bgp(EVERYTHING, Path::new("bgp.yaml")).unwrap();
    assert!(converted.refusals.is_empty(), "{:?}", converted.refusals);
    let variables = [("LOCAL_ASN", "64512"), ("PEER_ASN", "64501"), ("ROUTER_CIDR", "10.25.11.1/32")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let text = substitute(&converted.text, &variables.into()).unwrap();
    let objects: Vec<Value> = yaml::from_multiple(&text, Path::new("converted.yaml")).unwrap();
    let schemas = schemas();
    let mut kinds: Vec<&str> = Vec::new();
    for object in &objects {
        let kind = object["kind"].as_str().unwrap();
        kinds.push(kind);
        assert_eq!(object["apiVersion"], "cilium.io/v2");
        assert_eq!(
            breaches(&schemas[kind], &completed(&schemas[kind], object.clone()), ""),
            [""; 0],
            "{text}"
        );
    }
    kinds.dedup();
    assert_eq!(kinds, ["CiliumBGPClusterConfig", "CiliumBGPPeerConfig", "CiliumBGPAdvertisement"]);

    // Every reference and every selector leads to something.
    let names = |kind: &str| -> Vec<&str> {
        let of_kind = objects.iter().filter(|object| object["kind"] == kind);
        of_kind.map(|object| object["metadata"]["name"].as_str().unwrap()).collect()
    };
    let (peers, advertisements) = (names("CiliumBGPPeerConfig"), names("CiliumBGPAdvertisement"));
    for object in &objects {
        for instance in object["spec"]["bgpInstances"].as_array().into_iter().flatten() {
            for peer in instance["peers"].as_array().unwrap() {
                assert!(peers.contains(&peer["peerConfigRef"]["name"].as_str().unwrap()), "{text}");
            }
        }
        for family in object["spec"]["families"].as_array().into_iter().flatten() {
            if let Some(label) = family["advertisements"]["matchLabels"]["advertise"].as_str() {
                assert!(advertisements.contains(&label), "{text}");
            }
        }
        if object["kind"] == "CiliumBGPAdvertisement" {
            assert_eq!(object["metadata"]["labels"]["advertise"], object["metadata"]["name"]);
        }
    }
}

/// The check itself finds what is wrong.
#[test]
fn what_the_crds_refuse_is_found() {
    let schemas = schemas();
    let cases = [
        (
            "CiliumBGPAdvertisement",
            r#"{"advertisements": [{"advertisementType": "Service"}]}"#,
            "service field is required",
        ),
        (
            "CiliumBGPAdvertisement",
            r#"{"advertisements": [{"advertisementType": "PodCIDR", "selector": {}}]}"#,
            "selector field",
        ),
        ("CiliumBGPClusterConfig", r#"{"bgpInstances": []}"#, "less than 1"),
        (
            "CiliumBGPClusterConfig",
            r#"{"bgpInstances": [{"name": "a", "peers": [{"name": "b", "peerAddress": "10.0.0.1/32"}]}]}"#,
            "does not match",
        ),
        ("CiliumBGPPeerConfig", r#"{"peerPort": 179}"#, "not known"),
        ("CiliumBGPPeerConfig", r#"{"timers": {"holdTimeSeconds": 20}}"#, "keepAliveTimeSeconds"),
        ("CiliumBGPPeerConfig", r#"{"timers": {"holdTimeSeconds": "30"}}"#, "is no \"integer\""),
    ];
    for (kind, spec, said) in cases {
        let spec: Value = serde_json::from_str(spec).unwrap();
        let object =
            serde_json::json!({"apiVersion": "cilium.io/v2", "kind": kind, "metadata": {}, "spec": spec});
        let found = breaches(&schemas[kind], &completed(&schemas[kind], object), "").join("\n");
        assert!(found.contains(said), "{found}");
    }
}

fn convert(arguments: &[&str]) -> assert_cmd::Command {
    let mut command = assert_cmd::Command::cargo_bin("bootstrapper").unwrap();
    command.env("NO_COLOR", "1").args(["convert", "bgp"]).args(arguments);
    command
}

#[test]
fn stdin_goes_to_stdout_and_files_can_be_written_in_place() {
    convert(&[]).write_stdin(EVERYTHING).assert().success().stdout(contains("kind: CiliumBGPClusterConfig"));

    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (policy, other) = (file("bgp.yaml", EVERYTHING), file("other.yaml", "a:   1"));
    let arguments = [policy.to_str().unwrap(), other.to_str().unwrap()];
    let printed = convert(&arguments).assert().success().get_output().stdout.clone();
    assert!(String::from_utf8(printed).unwrap().ends_with("\n---\na:   1"));
    convert(&arguments).arg("--write").assert().success().stdout("").stderr(contains("1 policy converted"));
    assert!(std::fs::read_to_string(&policy).unwrap().contains("kind: CiliumBGPClusterConfig"));
    assert_eq!(std::fs::read_to_string(&other).unwrap(), "a:   1");
    // What is converted stays as it is.
    let before = std::fs::read_to_string(&policy).unwrap();
    convert(&[arguments[0]]).assert().success().stdout(before);
}

#[test]
fn what_cannot_be_converted_stays_and_is_said() {
    let old = EVERYTHING.replace(
        "            - selectorType: PodCIDR\n",
        "            - selectorType: PodCIDR\n              selector: {matchLabels: {a: b}}\n",
    );
    convert(&["-"]).write_stdin(old.clone()).assert().code(1).stdout(old).stderr(
        contains("at <stdin>:34:15")
            .and(contains("hint:"))
            .and(contains("the documents named above are unchanged")),
    );
    convert(&[])
        .write_stdin("kind: CiliumBGPPeeringPolicy\na: [\n")
        .assert()
        .code(1)
        .stderr(contains("<stdin>:"));
    convert(&["/nonexistent.yaml"]).assert().code(3).stderr(contains("cannot read /nonexistent.yaml"));
    convert(&["--write"]).write_stdin(EVERYTHING).assert().code(3).stderr(contains("--write"));
}
