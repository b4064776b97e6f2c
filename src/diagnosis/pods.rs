//! Why a pod does not run.

use serde_json::Value;

use super::evidence::{Evidence, cause, text};
use crate::engine::Cause;
use crate::object::{Object, ObjectRef};

pub(super) fn explain(evidence: &Evidence) -> Option<Cause> {
    evidence.pods().find_map(|pod| {
        let path = path_to(evidence, pod);
        crash_loop(evidence, pod, &path)
            .or_else(|| image(pod, &path))
            .or_else(|| missing_config(pod, &path))
            .or_else(|| unschedulable(evidence, pod, &path))
    })
}

fn path_to(evidence: &Evidence, pod: &Object) -> Vec<String> {
    let (subject, pod) = (ObjectRef::of(&evidence.subject), ObjectRef::of(pod));
    if subject == pod { vec![pod.to_string()] } else { vec![subject.to_string(), pod.to_string()] }
}

fn statuses(pod: &Object) -> impl Iterator<Item = &Value> {
    let status = &pod.data["status"];
    [&status["initContainerStatuses"], &status["containerStatuses"]]
        .into_iter()
        .filter_map(|list| list.as_array())
        .flatten()
}

fn waits_for<'a>(pod: &'a Object, reasons: &[&str]) -> Option<&'a Value> {
    statuses(pod).find(|status| reasons.contains(&text(&status["state"]["waiting"]["reason"])))
}

/// What an agent says that cannot reach the API server.
const UNREACHABLE: [&str; 4] =
    ["no route to host", "connection refused", "i/o timeout", "network is unreachable"];

fn crash_loop(evidence: &Evidence, pod: &Object, path: &[String]) -> Option<Cause> {
    let status = waits_for(pod, &["CrashLoopBackOff"])?;
    let container = text(&status["name"]);
    let restarts = status["restartCount"].as_i64().unwrap_or_default();
    let log = evidence.logs.get(pod.metadata.name.as_deref().unwrap_or_default()).map_or("", String::as_str);
    let last = log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it left no log");
    let mut evidence = path.to_vec();
    evidence.push(format!("{container}: {last}"));
    let is_cilium = pod
        .metadata
        .labels
        .as_ref()
        .is_some_and(|labels| labels.get("k8s-app").is_some_and(|app| app == "cilium"));
    let unreachable = log.lines().any(|line| UNREACHABLE.iter().any(|sign| line.contains(sign)));
    if is_cilium && unreachable {
        return Some(cause(
            "BS-CIL-003",
            format!(
                "the Cilium agent on {} cannot reach the API server",
                text(&pod.data["spec"]["nodeName"])
            ),
            evidence,
            &[
                "compare k8sServiceHost and k8sServicePort (API_SERVER_HOST, API_SERVER_PORT in settings.yaml) with the address that the API server has",
            ],
        ));
    }
    Some(cause(
        "BS-POD-001",
        format!("{container} crashes as it starts ({restarts} restarts)"),
        evidence,
        &["read its log: kubectl logs --previous"],
    ))
}

fn image(pod: &Object, path: &[String]) -> Option<Cause> {
    let status = waits_for(pod, &["ImagePullBackOff", "ErrImagePull", "InvalidImageName"])?;
    let mut evidence = path.to_vec();
    evidence.push(text(&status["state"]["waiting"]["message"]).to_owned());
    Some(cause(
        "BS-POD-002",
        format!(
            "image {} cannot be pulled on {}",
            text(&status["image"]),
            text(&pod.data["spec"]["nodeName"])
        ),
        evidence,
        &["check that the image exists, and that the node reaches its registry"],
    ))
}

fn missing_config(pod: &Object, path: &[String]) -> Option<Cause> {
    let status = waits_for(pod, &["CreateContainerConfigError"])?;
    Some(cause(
        "BS-POD-003",
        format!(
            "{} needs what is not there: {}",
            text(&status["name"]),
            text(&status["state"]["waiting"]["message"])
        ),
        path.to_vec(),
        &[
            "declare the Secret or ConfigMap that it names; secrets of the bootstrap stand in bootstrapper.yaml",
        ],
    ))
}

fn unschedulable(evidence: &Evidence, pod: &Object, path: &[String]) -> Option<Cause> {
    let conditions = pod.data["status"]["conditions"].as_array()?;
    let refused = conditions.iter().find(|one| one["type"] == "PodScheduled" && one["status"] == "False")?;
    let message = text(&refused["message"]).to_owned();
    let unready = evidence.nodes.iter().find_map(|node| {
        let conditions = node.data["status"]["conditions"].as_array()?;
        let ready = conditions.iter().find(|one| one["type"] == "Ready" && one["status"] != "True")?;
        Some((node.metadata.name.clone()?, text(&ready["message"]).to_owned()))
    });
    let mut evidence = path.to_vec();
    evidence.push(message);
    Some(match unready {
        Some((node, why)) => cause(
            "BS-NOD-001",
            format!("no node takes pods: {node} is not ready, {why}"),
            evidence,
            &["see what the network plugin waits for: bootstrapper status <cluster> --only cilium"],
        ),
        None => cause(
            "BS-NOD-002",
            "no node takes the pod".to_owned(),
            evidence,
            &["give the nodes what it asks for, or ask for less"],
        ),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn evidence(pod: serde_json::Value, log: &str, nodes: Vec<serde_json::Value>) -> Evidence {
        let object = |value| serde_json::from_value::<Object>(value).unwrap();
        Evidence {
            subject: object(pod),
            owned: Vec::new(),
            events: Vec::new(),
            nodes: nodes.into_iter().map(object).collect(),
            logs: [("p".to_owned(), log.to_owned())].into(),
            related: Vec::new(),
        }
    }

    fn pod(status: &serde_json::Value) -> serde_json::Value {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"k8s-app": "cilium"}},
            "spec": {"nodeName": "cp-3"}, "status": status})
    }

    #[test]
    fn the_cause_of_each_trouble() {
        let waiting = |reason: &str| json!({"containerStatuses": [{"name": "agent", "image": "i", "restartCount": 4, "state": {"waiting": {"reason": reason, "message": "m"}}}]});
        let unscheduled =
            json!({"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes"}]});
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "cp-3"}, "status": {"conditions": [{"type": "Ready", "status": "False", "message": "cni plugin not initialized"}]}});
        let cases = [
            (
                pod(&waiting("CrashLoopBackOff")),
                "dial tcp 10.25.11.99:6443: no route to host",
                vec![],
                "BS-CIL-003",
            ),
            (pod(&waiting("CrashLoopBackOff")), "unknown flag --foo", vec![], "BS-POD-001"),
            (pod(&waiting("ImagePullBackOff")), "", vec![], "BS-POD-002"),
            (pod(&waiting("CreateContainerConfigError")), "", vec![], "BS-POD-003"),
            (pod(&unscheduled), "", vec![node], "BS-NOD-001"),
            (pod(&unscheduled), "", vec![], "BS-NOD-002"),
        ];
        for (pod, log, nodes, code) in cases {
            let cause = explain(&evidence(pod, log, nodes)).unwrap();
            assert_eq!(cause.code.as_deref(), Some(code), "{cause:?}");
        }
    }
}
