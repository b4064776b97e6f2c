//! ValidatingAdmissionPolicies of the repository, applied to its own objects.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::cel::{Cel, cel, evaluate};
use crate::fleet::{Placed, objects_of};
use crate::schema::is_unknown;
use crate::{Finding, Fleet, Rule, Severity, known};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_core::selector::selects_by_default;
use bootstrapper_gitops::Declared;
use bootstrapper_gitops::pipeline::{Applies, Manifest, Pipeline};

pub(crate) const RULES: &[Rule] = &[Rule {
    name: "refused-by-policy",
    severity: Severity::Error,
    summary: "a ValidatingAdmissionPolicy of the repository refuses one of its objects",
    why: "the API server rejects the object as soon as the policy is there, and Flux the whole Kustomization",
    fix: "change the object, or leave out the policy: Gateway API keeps its own in `vap_safeupgrades.yaml`, beside CRDs of its version",
    check: refused,
}];

const GROUP: &str = "admissionregistration.k8s.io";
const GATEWAY: &str = "gateway.networking.k8s.io";

/// A policy, bound so that it denies.
struct Policy<'a> {
    placed: Placed<'a>,
    bindings: Vec<Placed<'a>>,
}

/// The policies that can be judged: those of parameters need more objects than theirs.
fn policies(declared: &Declared) -> Vec<Policy<'_>> {
    let of_kind = |kind| objects_of(declared).filter(move |placed| placed.is(GROUP, kind));
    let denies = |binding: &Placed<'_>| {
        let actions = binding.field(&["spec", "validationActions"]).as_array();
        actions.is_some_and(|all| all.iter().any(|action| action == "Deny"))
            && binding.field(&["spec", "paramRef"]).is_null()
    };
    let all = of_kind("ValidatingAdmissionPolicy").map(|placed| {
        let name = placed.object.metadata.name.as_deref().unwrap_or_default();
        let bindings = of_kind("ValidatingAdmissionPolicyBinding")
            .filter(|binding| binding.field(&["spec", "policyName"]) == name && denies(binding));
        Policy { placed, bindings: bindings.collect() }
    });
    all.filter(|policy| !policy.bindings.is_empty() && policy.placed.field(&["spec", "paramKind"]).is_null())
        .collect()
}

fn refused(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each(|declared| {
        let policies = policies(declared);
        let bundles = bundles(fleet, declared);
        if policies.is_empty() && bundles.is_empty() {
            return Vec::new();
        }
        let plurals = plurals(declared);
        let others = same(declared);
        let mut found: Vec<Finding> = Vec::new();
        for policy in &policies {
            for placed in objects_of(declared) {
                // An object that is applied twice replaces itself.
                let before: Vec<&Object> = others.get(&placed.id()).cloned().unwrap_or_default();
                if let Some(message) = refuses(policy, placed, &before, &plurals) {
                    found.push(finding(rule, policy.placed.id().name.as_str(), placed, &message));
                }
            }
        }
        found.extend(of_bundles(rule, declared, &bundles));
        one_for_each(found)
    })
}

fn finding(rule: &Rule, policy: &str, placed: Placed<'_>, message: &str) -> Finding {
    let message =
        format!("{} is refused by the policy {policy}: {}", placed.id(), message.trim_end_matches('.'));
    let finding = placed.finding(rule, "metadata.name", message);
    // What is fetched has no place but that of its Kustomization.
    let place = finding.location.clone();
    finding.at(place.or_else(|| placed.declared.place(&placed.kustomization.id, "spec.path")))
}

/// A bundle of CRDs is refused as a whole: the first of a file and group is reported.
fn one_for_each(found: Vec<Finding>) -> Vec<Finding> {
    let mut reported: Vec<(String, String)> = Vec::new();
    let mut kept = Vec::new();
    for one in found {
        let kind = one.object.as_ref().map(|id| id.kind.clone()).unwrap_or_default();
        let rest = one.message.split_once("is refused by").map(|(_, rest)| rest.to_owned());
        let key = (kind.clone(), rest.unwrap_or_default());
        if kind == "CustomResourceDefinition" && reported.contains(&key) {
            continue;
        }
        reported.push(key);
        kept.push(one);
    }
    kept
}

/// Why a policy refuses an object, on its creation, its next change or in place of another one.
fn refuses(
    policy: &Policy<'_>,
    placed: Placed<'_>,
    before: &[&Object],
    plurals: &BTreeMap<(&str, &str), &str>,
) -> Option<String> {
    let spec = policy.placed.field(&["spec"]);
    let is_bound = policy.bindings.iter().any(|binding| {
        let resources = binding.field(&["spec", "matchResources"]);
        resources.is_null() || matches(resources, placed, plurals)
    });
    if !is_bound || !matches(&spec["matchConstraints"], placed, plurals) {
        return None;
    }
    let own = serde_json::to_value(placed.object).ok()?;
    let text = own.to_string();
    if is_unknown(&text) || own["sops"].is_object() {
        return None;
    }
    let mut olds = vec![Value::Null, own.clone()];
    olds.extend(before.iter().filter_map(|one| serde_json::to_value(one).ok()));
    olds.iter().find_map(|old| denied(spec, placed, &own, old))
}

/// What a policy says of an object in place of an older one.
fn denied(spec: &Value, placed: Placed<'_>, own: &Value, old: &Value) -> Option<String> {
    let namespace = placed.object.metadata.namespace.as_deref();
    let operation = if old.is_null() { "CREATE" } else { "UPDATE" };
    let mut variables = vec![("object", cel(own)), ("oldObject", cel(old))];
    let mut request = json!({"operation": operation, "name": placed.id().name});
    if let Some(namespace) = namespace {
        request["namespace"] = namespace.into();
        let home = known::find(placed.declared, "", "Namespace", None, namespace)?;
        variables.push(("namespaceObject", cel(&serde_json::to_value(home.object).ok()?)));
    }
    variables.push(("request", cel(&request)));
    let mut named: HashMap<String, Cel> = HashMap::new();
    for one in spec["variables"].as_array().into_iter().flatten() {
        variables.retain(|(name, _)| *name != "variables");
        variables.push(("variables", Cel::Map(named.clone().into())));
        let value = evaluate(one["expression"].as_str()?, &variables);
        // One that cannot be evaluated counts only where it is used.
        if let Some(value) = value {
            named.insert(one["name"].as_str()?.to_owned(), value);
        }
    }
    variables.retain(|(name, _)| *name != "variables");
    variables.push(("variables", Cel::Map(named.into())));
    let conditions = spec["matchConditions"].as_array().into_iter().flatten();
    for condition in conditions {
        if evaluate(condition["expression"].as_str()?, &variables) != Some(Cel::Bool(true)) {
            return None;
        }
    }
    let validations = spec["validations"].as_array().into_iter().flatten();
    validations.into_iter().find_map(|one| {
        let expression = one["expression"].as_str()?;
        if evaluate(expression, &variables)? != Cel::Bool(false) {
            return None;
        }
        let said = one["messageExpression"].as_str().and_then(|text| evaluate(text, &variables));
        Some(match (said, one["message"].as_str()) {
            (Some(Cel::String(said)), _) => Arc::unwrap_or_clone(said),
            (_, Some(message)) => message.to_owned(),
            _ => format!("`{expression}` must hold"),
        })
    })
}

/// Whether `matchConstraints` or `matchResources` select an object.
fn matches(resources: &Value, placed: Placed<'_>, plurals: &BTreeMap<(&str, &str), &str>) -> bool {
    let id = placed.id();
    let plural =
        plurals.get(&(id.group(), id.kind.as_str())).map_or_else(|| id.plural(), |it| (*it).to_owned());
    let lists = |rule: &Value, field: &str, word: &str| {
        rule[field].as_array().is_none_or(|all| all.iter().any(|one| one == word || one == "*"))
    };
    let covers = |rule: &Value| {
        let is_operation = ["CREATE", "UPDATE"].iter().any(|one| lists(rule, "operations", one));
        let is_scope = match rule["scope"].as_str() {
            Some("Cluster") => id.namespace.is_none(),
            Some("Namespaced") => id.namespace.is_some(),
            _ => true,
        };
        let is_named = rule["resourceNames"]
            .as_array()
            .is_none_or(|names| names.is_empty() || names.iter().any(|name| name == id.name.as_str()));
        lists(rule, "apiGroups", id.group())
            && lists(rule, "resources", &plural)
            && is_operation
            && is_scope
            && is_named
    };
    let any = |field: &str| resources[field].as_array().is_some_and(|rules| rules.iter().any(covers));
    // A binding without rules is about all that its policy is about.
    let is_covered = any("resourceRules") || resources["resourceRules"].as_array().is_none_or(Vec::is_empty);
    let labels = placed.object.metadata.labels.clone().unwrap_or_default();
    is_covered
        && !any("excludeResourceRules")
        && selects_by_default(&resources["objectSelector"], &labels)
        && is_in_selected_namespace(&resources["namespaceSelector"], placed)
}

fn is_in_selected_namespace(selector: &Value, placed: Placed<'_>) -> bool {
    let is_all = selector.as_object().is_none_or(serde_json::Map::is_empty);
    let name = match placed.object.metadata.namespace.as_deref() {
        _ if is_all => return true,
        Some(namespace) => namespace,
        None if placed.is("", "Namespace") => placed.object.metadata.name.as_deref().unwrap_or_default(),
        None => return true,
    };
    let Some(home) = known::find(placed.declared, "", "Namespace", None, name) else { return false };
    let mut labels = home.object.metadata.labels.clone().unwrap_or_default();
    labels.insert("kubernetes.io/metadata.name".to_owned(), name.to_owned());
    selects_by_default(selector, &labels)
}

/// The plural names of kinds that the cluster's CRDs define.
fn plurals(declared: &Declared) -> BTreeMap<(&str, &str), &str> {
    let crds =
        objects_of(declared).filter(|placed| placed.is("apiextensions.k8s.io", "CustomResourceDefinition"));
    let named = crds.filter_map(|crd| {
        let (group, names) = (crd.field(&["spec", "group"]).as_str()?, crd.field(&["spec", "names"]));
        Some(((group, names["kind"].as_str()?), names["plural"].as_str()?))
    });
    named.collect()
}

/// Objects that the cluster declares more than once.
fn same(declared: &Declared) -> BTreeMap<ObjectRef, Vec<&Object>> {
    let mut all: BTreeMap<ObjectRef, Vec<&Object>> = BTreeMap::new();
    for placed in objects_of(declared) {
        all.entry(placed.id()).or_default().push(placed.object);
    }
    all.retain(|_, objects| objects.len() > 1);
    all
}

/// Bundles of Gateway API that steps of the bootstrap apply as a whole, with their policies.
fn bundles(fleet: &Fleet, declared: &Declared) -> Vec<Bundle> {
    let steps = fleet.pipelines.get(&declared.cluster).into_iter().flat_map(Pipeline::steps);
    let manifests = steps.filter_map(|step| match step.kind.applies() {
        Applies::Manifest(Manifest { location, .. }) => Bundle::at(location),
        _ => None,
    });
    manifests.collect()
}

/// CRDs that every bundle has.
const IN_ALL: [&str; 5] = ["gatewayclasses", "gateways", "grpcroutes", "httproutes", "referencegrants"];

/// CRDs that replace those of such a bundle.
fn of_bundles(rule: &Rule, declared: &Declared, bundles: &[Bundle]) -> Vec<Finding> {
    let crds = objects_of(declared).filter(|placed| {
        let plural = placed.field(&["spec", "names", "plural"]).as_str().unwrap_or_default();
        placed.is("apiextensions.k8s.io", "CustomResourceDefinition")
            && placed.field(&["spec", "group"]) == GATEWAY
            && IN_ALL.contains(&plural)
    });
    let found = crds.filter_map(|placed| {
        let annotation = |name: &str| {
            let all = placed.object.metadata.annotations.as_ref()?;
            all.get(&format!("{GATEWAY}/{name}")).map(String::as_str)
        };
        let own = Bundle::annotated(annotation("bundle-version")?, annotation("channel")?)?;
        let why = bundles.iter().find_map(|bundle| bundle.refuses(own))?;
        Some(finding(rule, "safe-upgrades.gateway.networking.k8s.io", placed, &why))
    });
    found.collect()
}
