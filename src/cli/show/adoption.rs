//! The adoption by Flux, as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bootstrapper_core::output::one_line;
use bootstrapper_core::words::count;
use bootstrapper_report::table;
use bootstrapper_steps::adoption::{Forecast, OwnerComparison, Record, Verdict};

/// The forecast: the sum, each owner's share, and every difference.
pub(crate) fn forecast_text(forecast: &Forecast) -> String {
    let mut text = String::new();
    if !forecast.owned.is_empty() {
        let _ = writeln!(text, "Flux owns {}", kinds(&forecast.owned));
    }
    if forecast.objects.is_empty() && forecast.installs.is_empty() {
        return text;
    }
    let _ = writeln!(text, "{}\n", forecast.summary());
    let rows = forecast.counts_by_owner().into_iter().map(|(owner, counts)| {
        vec![
            owner.to_string(),
            counts.same.to_string(),
            counts.created.to_string(),
            counts.different.to_string(),
            counts.other.to_string(),
        ]
    });
    text.push_str(&table(&["APPLIED BY", "SAME", "CREATED", "CHANGED", "NOT COMPARED"], rows));
    for entry in forecast.differences() {
        let _ = writeln!(text, "\n~ {}  (by {})", entry.describe(), entry.by);
        for detail in entry.details() {
            let _ = writeln!(text, "    {}", one_line(&detail));
        }
    }
    let mut list = |said: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            let _ = writeln!(text, "\n{said}\n  {}", lines.join("\n  "));
        }
    };
    list(
        "hooks that will run:",
        forecast.hooks.iter().map(|hook| format!("{} of {}", hook.object, hook.by)).collect(),
    );
    list("Flux will install:", forecast.installs.iter().map(ToString::to_string).collect());
    list(
        "not compared:",
        forecast.unseen.iter().map(|unseen| format!("{}: {}", unseen.id, unseen.because)).collect(),
    );
    text
}

fn kinds(ids: &[bootstrapper_core::object::ObjectRef]) -> String {
    let of = |kind: &str| count(ids.iter().filter(|id| id.kind == kind).count(), kind);
    format!("{} and {}", of("Kustomization"), of("HelmRelease"))
}

/// The result: the recorded verdict, and the current state, owner by owner.
pub(crate) fn adopted_text(
    verdict: &Verdict,
    kept: &[OwnerComparison],
    before: &Record,
    now: &Record,
) -> String {
    let mut text = format!("{} ({})\n", verdict.summary(), verdict.seen.strftime("%Y-%m-%d %H:%M"));
    for difference in &verdict.differences {
        let _ = writeln!(text, "  ~ {}", one_line(difference));
    }
    text.push('\n');
    let rows = kept.iter().map(|kept| {
        let revision = match kept.revisions {
            (Some(before), Some(now)) => format!("{before} → {now}"),
            (Some(before), None) => format!("{before} → none"),
            _ => String::new(),
        };
        let objects = kept.objects + kept.gone.len() + kept.recreated.len() + kept.changed.len();
        vec![
            kept.owner.clone(),
            revision,
            of(kept.objects, objects),
            of(kept.pods, kept.pods_before),
            managers(&kept.managers_before),
            managers(&kept.managers),
        ]
    });
    text.push_str(&table(
        &["TAKEN OVER", "REVISION", "OBJECTS KEPT", "PODS KEPT", "FIELD MANAGERS BEFORE", "NOW"],
        rows,
    ));
    if !before.certificates.is_empty() {
        let rows = before.certificates.iter().map(|(secret, serial)| {
            let stands = now.certificates.get(secret).map_or("none", String::as_str);
            vec![
                secret.clone(),
                serial.clone(),
                if stands == serial { "unchanged" } else { stands }.to_owned(),
            ]
        });
        text.push('\n');
        text.push_str(&table(&["CERTIFICATE", "SERIAL NUMBER BEFORE", "NOW"], rows));
    }
    text
}

fn of(kept: usize, all: usize) -> String {
    if all == 0 { String::new() } else { format!("{kept} of {all}") }
}

fn managers(managers: &BTreeMap<String, usize>) -> String {
    let counts: Vec<String> = managers.iter().map(|(name, objects)| format!("{name} {objects}")).collect();
    counts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bootstrapper_core::object::ObjectRef;
    use bootstrapper_steps::adoption::{Effect, ObjectForecast, Unseen};

    #[test]
    fn every_difference_is_reported_with_its_owner() {
        let release = ObjectRef::namespaced("helm/v2", "HelmRelease", "kube-system", "cilium");
        let entry = |kind: &str, effect| ObjectForecast {
            object: ObjectRef::namespaced("apps/v1", kind, "kube-system", "cilium"),
            by: release.clone(),
            effect,
        };
        let fields = vec![".spec.template.spec.x 1 → 2".to_owned()];
        let forecast = Forecast {
            objects: vec![
                entry("DaemonSet", Effect::Changed { fields, restarts: true }),
                entry("Service", Effect::Same { marks: 0 }),
            ],
            unseen: vec![Unseen { id: release.clone(), because: "it is suspended".to_owned() }],
            ..Forecast::default()
        };
        let expected = "\
drift in 1 of 2 objects; Flux will create no objects

APPLIED BY                      SAME  CREATED  CHANGED  NOT COMPARED
HelmRelease kube-system/cilium  1     0        1        0

~ DaemonSet kube-system/cilium changes, which restarts its pods  (by HelmRelease kube-system/cilium)
    .spec.template.spec.x 1 → 2

not compared:
  HelmRelease kube-system/cilium: it is suspended
";
        assert_eq!(forecast_text(&forecast), expected);
    }
}
