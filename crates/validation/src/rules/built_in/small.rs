//! Kinds with one or two checks each.

use serde_json::Value;

use super::Fault;
use crate::fleet::Placed;
use crate::known;
use crate::paths::values_at;

pub(super) fn faults(placed: Placed<'_>) -> Vec<Fault> {
    let id = placed.id();
    let spec = placed.field(&["spec"]);
    let fault = match (id.group(), id.kind.as_str()) {
        ("", "PersistentVolumeClaim") => claim(spec),
        ("", "Secret") => secret(placed),
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaler(spec),
        ("batch", "CronJob") => cron_job(&id.name, spec),
        ("networking.k8s.io", "Ingress") => ingress(placed),
        ("policy", "PodDisruptionBudget") => budget(spec),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding") => subject(placed),
        _ => None,
    };
    fault.into_iter().collect()
}

fn claim(spec: &Value) -> Option<Fault> {
    if spec["accessModes"].as_array().is_none_or(Vec::is_empty) {
        return Some(Fault::new("spec", "it has no accessModes"));
    }
    let size = &spec["resources"]["requests"]["storage"];
    size.is_null().then(|| Fault::new("spec", "it has no resources.requests.storage"))
}

/// The keys that a type of Secret must have: all, or one of them.
const TYPES: [(&str, &[&str], bool); 4] = [
    ("kubernetes.io/basic-auth", &["username", "password"], false),
    ("kubernetes.io/dockerconfigjson", &[".dockerconfigjson"], true),
    ("kubernetes.io/ssh-auth", &["ssh-privatekey"], true),
    ("kubernetes.io/tls", &["tls.crt", "tls.key"], true),
];

fn secret(placed: Placed<'_>) -> Option<Fault> {
    let kind = placed.field(&["type"]).as_str()?;
    let (_, keys, is_all) = TYPES.iter().find(|(name, ..)| *name == kind)?;
    let has = |key: &&&str| ["data", "stringData"].iter().any(|field| !placed.field(&[field, key]).is_null());
    let is_met = if *is_all { keys.iter().all(|key| has(&key)) } else { keys.iter().any(|key| has(&key)) };
    (!is_met && !known::is_filled_elsewhere(placed.object)).then(|| {
        let word = if *is_all { " and " } else { " or " };
        Fault::new("type", format!("its type is {kind}, which needs {}", keys.join(word)))
    })
}

fn autoscaler(spec: &Value) -> Option<Fault> {
    let (least, most) = (spec["minReplicas"].as_u64().unwrap_or(1), spec["maxReplicas"].as_u64()?);
    (least > most).then(|| {
        Fault::new("spec.minReplicas", format!("minReplicas {least} is more than maxReplicas {most}"))
    })
}

fn budget(spec: &Value) -> Option<Fault> {
    let both = !spec["minAvailable"].is_null() && !spec["maxUnavailable"].is_null();
    both.then(|| Fault::new("spec.maxUnavailable", "it has both minAvailable and maxUnavailable"))
}

fn subject(placed: Placed<'_>) -> Option<Fault> {
    let mut subjects = values_at(&placed.object.data, "subjects[]").into_iter();
    let (path, subject) = subjects.find(|(_, subject)| {
        subject["kind"] == "ServiceAccount" && subject["namespace"].as_str().is_none_or(str::is_empty)
    })?;
    let name = subject["name"].as_str().unwrap_or_default();
    Some(Fault::new(path, format!("its subject ServiceAccount {name} has no namespace")))
}

fn ingress(placed: Placed<'_>) -> Option<Fault> {
    let mut paths = values_at(&placed.object.data, "spec.rules[].http.paths[]").into_iter();
    let (at, path) = paths.find(|(_, path)| {
        let is_checked = matches!(path["pathType"].as_str(), Some("Exact" | "Prefix"));
        is_checked && path["path"].as_str().is_none_or(|path| !path.starts_with('/'))
    })?;
    let text = path["path"].as_str().unwrap_or_default();
    Some(Fault::new(at, format!("the path `{text}` does not begin with `/`")))
}

fn cron_job(name: &str, spec: &Value) -> Option<Fault> {
    if name.len() > 52 {
        return Some(Fault::new("metadata.name", "its name has more than 52 characters"));
    }
    let schedule = spec["schedule"].as_str()?;
    let why = refused_schedule(schedule)?;
    Some(Fault::new("spec.schedule", format!("its schedule `{schedule}` is invalid: {why}")))
}

/// The fields of a schedule, and their bounds (`github.com/robfig/cron`, `ParseStandard`).
const FIELDS: [(&str, u32, u32); 5] = [
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of the month", 1, 31),
    ("month", 1, 12),
    ("day of the week", 0, 6),
];

fn refused_schedule(schedule: &str) -> Option<String> {
    const NAMED: [&str; 7] =
        ["@annually", "@daily", "@hourly", "@midnight", "@monthly", "@weekly", "@yearly"];
    if schedule.starts_with("TZ=") || schedule.starts_with("CRON_TZ=") {
        return Some("time zones belong in spec.timeZone".to_owned());
    }
    if schedule.starts_with('@') {
        let is_known = NAMED.contains(&schedule) || schedule.starts_with("@every ");
        return (!is_known).then(|| format!("use one of {}", NAMED.join(", ")));
    }
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Some(format!("it has {} fields instead of 5", fields.len()));
    }
    fields.iter().zip(FIELDS).find_map(|(field, (name, least, most))| {
        let numbers = field.split(',').flat_map(|part| {
            let range = part.split_once('/').map_or(part, |(range, _)| range);
            range.split('-').filter_map(|end| end.parse::<u32>().ok()).collect::<Vec<_>>()
        });
        let mut outside = numbers.filter(|number| !(least..=most).contains(number));
        outside.next().map(|number| format!("{number} is no {name} ({least} to {most})"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schedules() {
        for (schedule, is_valid) in [
            ("0 3 * * *", true),
            ("*/5 0-23/2 1,15 JAN-DEC MON", true),
            ("@daily", true),
            ("@every 1h", true),
            ("0 25 * * *", false),
            ("0 3 * *", false),
            ("0 0 3 * * *", false),
            ("0 3 * * 7", false),
            ("@nightly", false),
            ("TZ=UTC 0 3 * * *", false),
        ] {
            assert_eq!(refused_schedule(schedule).is_none(), is_valid, "{schedule}");
        }
    }

    #[test]
    fn pairs_of_numbers() {
        assert!(autoscaler(&json!({"minReplicas": 2, "maxReplicas": 2})).is_none());
        assert!(autoscaler(&json!({"minReplicas": 3, "maxReplicas": 2})).is_some());
        assert!(budget(&json!({"minAvailable": 1})).is_none());
        assert!(budget(&json!({"minAvailable": 1, "maxUnavailable": 1})).is_some());
        assert!(claim(&json!({"accessModes": ["ReadWriteOnce"]})).is_some());
    }
}
