//! Requirements of Talos, kubeadm and k3s for charts.

use crate::{Finding, Fleet, Rule, Severity};
use bootstrapper_gitops::Unfit;

pub(crate) const RULES: &[Rule] = &[Rule {
    name: "unfit-for-distribution",
    severity: Severity::Error,
    summary: "a value does not fit the distribution that the cluster runs",
    why: "the distribution rejects or lacks what the chart requires of its nodes, so its pods do not start",
    fix: "set the value as shown, for example by the component of the distribution; correct `distribution` in bootstrapper.yaml if the nodes run another one",
    check: unfit,
}];

fn unfit(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each(|declared| {
        let Some(runs) = fleet.config.distribution_of(&declared.cluster) else { return Vec::new() };
        let finding = |unfit: Unfit| {
            let message =
                format!("{}: {} does not fit {}: {}", unfit.release, unfit.value, runs.name(), unfit.why);
            Finding::of(rule, message)
                .in_cluster(&declared.cluster)
                .about(&unfit.release)
                .fix(format!("set {} to {}", unfit.value, unfit.fits))
                .at(declared.place(&unfit.release, &format!("spec.values.{}", unfit.value)))
        };
        runs.unfit(&declared.releases).into_iter().map(finding).collect()
    })
}
