//! Watches, retries, lock, fence and relay against an in-memory API server.

use std::path::PathBuf;
use std::time::Duration;

use futures::StreamExt as _;
use http::Method;
use serde_json::{Value, json};

use super::mock::{ApiServer, Fault};
use super::{Cluster, Comparison, ConnectOptions, FIELD_MANAGER};
use bootstrapper_core::failure::{FailureKind, Retry};
use bootstrapper_core::object::{Complete, Object, ObjectRef, Selection};

fn config_map(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "n"}, "data": {"key": value}})
}

fn id(name: &str) -> ObjectRef {
    ObjectRef::namespaced("v1", "ConfigMap", "n", name)
}

fn declared(value: &Value) -> Complete<Object> {
    Complete::of_own(serde_json::from_value(value.clone()).unwrap())
}

fn value(object: Option<&Object>) -> Option<&str> {
    object.and_then(|object| object.data["data"]["key"].as_str())
}

/// Watches one ConfigMap until it has a value, or is deleted.
async fn until(cluster: &Cluster, name: &str, wanted: Option<&str>) {
    let mut states = cluster.follow(vec![id(name)]);
    let seen = async {
        while let Some(state) = states.next().await {
            if let Ok(state) = state
                && value(state[&id(name)].as_deref()) == wanted
            {
                return;
            }
        }
        panic!("the watch ended");
    };
    tokio::time::timeout(Duration::from_secs(20), seen).await.unwrap();
}

fn overloaded(seconds: u32) -> Fault {
    Fault::Refusal {
        code: 429,
        reason: "TooManyRequests",
        message: "please try again later",
        retry_after: Some(seconds),
    }
}

const FORBIDDEN: Fault = Fault::Refusal {
    code: 403,
    reason: "Forbidden",
    message: "configmaps is forbidden: User \"u\" cannot watch resource \"configmaps\" in API group \"\" in the namespace \"n\"",
    retry_after: None,
};

#[tokio::test]
async fn a_watch_sees_what_comes_changes_and_goes() {
    let server = ApiServer::default();
    let cluster = server.connect();
    let mut states = cluster.follow(vec![id("a"), id("b")]);
    let mut next = async || loop {
        if let Ok(state) = states.next().await.unwrap() {
            break [value(state[&id("a")].as_deref()), value(state[&id("b")].as_deref())]
                .map(|it| it.map(str::to_owned));
        }
    };
    assert_eq!(next().await, [None, None]);
    server.put(&config_map("a", "1"));
    assert_eq!(next().await, [Some("1".to_owned()), None]);
    server.put(&config_map("a", "2"));
    assert_eq!(next().await, [Some("2".to_owned()), None]);
    server.remove(&id("a"));
    assert_eq!(next().await, [None, None]);
}

#[tokio::test]
async fn a_watch_goes_on_after_the_connection_broke_and_after_its_version_is_too_old() {
    let server = ApiServer::default();
    let cluster = server.connect();
    server.put(&config_map("a", "1"));
    until(&cluster, "a", Some("1")).await;
    let mut states = cluster.follow(vec![id("a")]);
    assert_eq!(value(states.next().await.unwrap().unwrap()[&id("a")].as_deref()), Some("1"));
    server.close_watches();
    server.put(&config_map("a", "2"));
    while value(states.next().await.unwrap().unwrap()[&id("a")].as_deref()) != Some("2") {}
    // 410: lists everything again, and notices objects that were deleted meanwhile.
    server.remove(&id("a"));
    server.compact();
    while states.next().await.unwrap().unwrap()[&id("a")].is_some() {}
}

#[tokio::test]
async fn a_kind_that_is_served_later_is_seen_then() {
    let server = ApiServer::default();
    let cluster = server.connect();
    let widget = ObjectRef::namespaced("example.com/v1", "Widget", "n", "w");
    let mut states = cluster.follow(vec![widget.clone()]);
    assert!(states.next().await.unwrap().unwrap()[&widget].is_none());
    server.serve_kind("example.com/v1", "Widget", "widgets", true);
    server.put(&json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "n"}}));
    let seen = async { while states.next().await.unwrap().unwrap()[&widget].is_none() {} };
    tokio::time::timeout(Duration::from_secs(30), seen).await.unwrap();
}

#[tokio::test]
async fn a_watch_that_is_forbidden_says_so_and_which_right_lacks() {
    let server = ApiServer::default();
    let cluster = server.connect();
    for _ in 0..500 {
        server.fail(Method::GET, "configmaps", FORBIDDEN);
    }
    let mut states = cluster.follow_all(Selection::of("v1", "ConfigMap").within("n"));
    let failure = states.next().await.unwrap().unwrap_err();
    assert_eq!((failure.kind, failure.retry), (FailureKind::Connection, Retry::Useless), "{failure}");
}

#[tokio::test]
async fn a_call_that_failed_in_transit_is_retried() {
    let server = ApiServer::default();
    let cluster = server.connect();
    server.put(&config_map("a", "1"));
    server.fail(Method::GET, "configmaps/a", Fault::Cut);
    server.fail(Method::GET, "configmaps/a", overloaded(1));
    assert_eq!(value(cluster.get(&id("a")).await.unwrap().as_ref()), Some("1"));
    let asked = server.requests().iter().filter(|line| line.ends_with("configmaps/a")).count();
    assert_eq!((asked, cluster.requests().repeated), (3, 2));
}

#[tokio::test]
async fn a_rejected_request_is_not_repeated() {
    let server = ApiServer::default();
    let cluster = server.connect();
    server.fail(Method::GET, "configmaps/a", FORBIDDEN);
    let failure = cluster.get(&id("a")).await.unwrap_err();
    assert_eq!(failure.retry, Retry::Useless);
    assert_eq!(server.requests().iter().filter(|line| line.ends_with("configmaps/a")).count(), 1);
}

#[tokio::test]
async fn a_long_retry_after_is_the_steps_to_wait_for() {
    let server = ApiServer::default();
    let cluster = server.connect();
    server.fail(Method::GET, "configmaps/a", overloaded(60));
    let failure = cluster.get(&id("a")).await.unwrap_err();
    assert_ne!(failure.retry, Retry::Useless, "{failure}");
}

#[tokio::test]
async fn an_apply_compares_first_and_writes_only_a_difference() {
    let server = ApiServer::default();
    let cluster = server.connect();
    let object = declared(&config_map("a", "1"));
    assert!(matches!(cluster.apply(&object, false).await.unwrap(), Comparison::Created));
    assert!(matches!(cluster.apply(&object, false).await.unwrap(), Comparison::Unchanged));
    assert_eq!(server.writes(), ["PATCH /api/v1/namespaces/n/configmaps/a"]);
    let changed = declared(&config_map("a", "2"));
    assert!(matches!(cluster.compare(&changed).await.unwrap(), Comparison::Configured(_)));
    assert_eq!(server.writes().len(), 1);
    // A write whose response was lost is retried, and counts as done.
    server.fail(Method::PATCH, "configmaps/a", Fault::Cut);
    assert!(matches!(cluster.apply(&changed, false).await.unwrap(), Comparison::Configured(_)));
    let stored = server.get(&id("a")).unwrap();
    assert_eq!(value(Some(&stored)), Some("2"));
    let manager = stored.metadata.managed_fields.unwrap_or_default().pop().and_then(|entry| entry.manager);
    assert_eq!(manager.as_deref(), Some(FIELD_MANAGER));
}

fn lease() -> ObjectRef {
    ObjectRef::namespaced("coordination.k8s.io/v1", "Lease", "kube-system", "bootstrapper-lock")
}

fn holder(server: &ApiServer) -> Option<String> {
    server.get(&lease())?.data["spec"]["holderIdentity"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn a_lock_is_acquired_released_and_acquired_again() {
    let server = ApiServer::default();
    let cluster = server.connect();
    let lock = cluster.lock("one", &|_| {}).await.unwrap();
    assert!(holder(&server).is_some());
    lock.release().await.unwrap();
    assert_eq!(holder(&server), None);
    cluster.lock("two", &|_| {}).await.unwrap().release().await.unwrap();
}

#[tokio::test]
async fn a_lock_that_is_renewed_elsewhere_is_refused() {
    let server = ApiServer::default();
    let cluster = server.connect();
    let renewal = server.hold_lock_as("alice@elsewhere/1/boot/run");
    let Err(failure) = cluster.lock("mine", &|_| {}).await else { panic!("two runs hold it") };
    assert_eq!(failure.kind, FailureKind::Locked);
    renewal.await.unwrap();
    assert_eq!(holder(&server).as_deref(), Some("alice@elsewhere/1/boot/run"));
}

#[tokio::test]
async fn nothing_is_written_once_the_lock_is_lost() {
    let server = ApiServer::default();
    let cluster = server.connect();
    let lock = cluster.lock("mine", &|_| {}).await.unwrap();
    cluster.apply(&declared(&config_map("before", "1")), false).await.unwrap();
    // Another user breaks the lock.
    let mut broken = serde_json::to_value(server.get(&lease()).unwrap()).unwrap();
    broken["spec"]["holderIdentity"] = Value::Null;
    server.put(&broken);
    assert_eq!(lock.lost().await.kind, FailureKind::Locked);
    let failure = cluster.apply(&declared(&config_map("after", "1")), false).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Locked, "{failure}");
    assert!(server.get(&id("after")).is_none() && server.get(&id("before")).is_some());
    // Reading is still permitted.
    assert!(cluster.get(&id("before")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_relay_answers_its_own_programs_only_and_with_the_patience_of_the_run() {
    let server = ApiServer::default();
    let cluster = server.connect();
    server.put(&config_map("a", "1"));
    let relay = cluster.relay().await.unwrap();
    let through = |file: PathBuf| async move {
        let options = ConnectOptions { kubeconfig: Some(file), context: "bootstrapper".to_owned() };
        Cluster::connect(&options).await
    };
    let file = relay.access().kubeconfig.clone().unwrap();
    server.fail(Method::GET, "/version", Fault::Cut);
    let program = through(file.clone()).await.unwrap();
    assert_eq!(value(program.get(&id("a")).await.unwrap().as_ref()), Some("1"));
    let text = std::fs::read_to_string(&file).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["users"][0]["user"]["token"] = "guessed".into();
    let folder = tempfile::tempdir().unwrap();
    let stranger = folder.path().join("kubeconfig");
    std::fs::write(&stranger, config.to_string()).unwrap();
    let Err(failure) = through(stranger).await else { panic!("a stranger got through") };
    assert_eq!(failure.kind, FailureKind::Connection, "{failure}");
}
