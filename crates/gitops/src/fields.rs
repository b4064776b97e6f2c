//! Every field of a HelmRelease, and how the bootstrap treats it. A test compares the list with
//! the schema of Flux; `docs/design/desired-state.md` shows it.

use serde_json::Value;

use bootstrapper_core::object::Object;

/// An operation of Helm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HelmAction {
    /// The first revision.
    Install,
    /// Any later revision.
    Upgrade,
}

impl HelmAction {
    /// The field of a HelmRelease for this operation.
    pub(super) fn field(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Upgrade => "upgrade",
        }
    }
}

/// How the bootstrap treats a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// It has the same effect as in Flux; with an explanation.
    Counts(&'static str),
    /// Helm has an equivalent flag.
    Flag(&'static str),
    /// It does not change what is installed; with the reason.
    LeftToFlux(&'static str),
    /// Flux would install something that the bootstrap cannot; with the reason.
    Stops(&'static str),
}

use Treatment::{Counts, Flag, LeftToFlux, Stops};

const READINESS: &str = "defines readiness for Flux; the bootstrap has its own probes";
const RECOVERY: &str = "defines Flux's failure handling";
const OWNERS: &str = "defines field ownership, not content";

/// The fields under `spec`; each includes its subfields.
pub const FIELDS: [(&str, Treatment); 62] = [
    ("chart.spec.chart", Counts("with its source; rejected for a git source, which only Flux reads")),
    ("chart.spec.sourceRef", Counts("a HelmRepository of either type")),
    ("chart.spec.version", Counts("an exact version, or the newest of a range")),
    ("chart.spec.ignoreMissingValuesFiles", LeftToFlux("applies to `valuesFiles` only")),
    ("chart.spec.interval", LeftToFlux("Flux's polling interval")),
    ("chart.spec.reconcileStrategy", LeftToFlux("applies to charts in git, which only Flux reads")),
    ("chart.spec.valuesFiles", Stops("Flux repackages the chart with these files as its values")),
    ("chart.spec.verify", Counts("verified with a known cosign key; any other signature only by Flux")),
    ("chart.metadata", LeftToFlux("metadata of Flux's HelmChart")),
    ("chartRef", Counts("an OCIRepository or a HelmChart")),
    ("commonMetadata.annotations", Counts("added to all objects")),
    ("commonMetadata.labels", Counts("added to all objects")),
    ("dependsOn", LeftToFlux("checked; the bootstrap's order is that of its tasks")),
    ("driftDetection", LeftToFlux("applies after the hand-over, when an object drifts")),
    ("healthCheckExprs", LeftToFlux(READINESS)),
    ("install.crds", Counts("CRDs of the chart's `crds` folder are created, replaced or skipped")),
    ("install.createNamespace", LeftToFlux("the bootstrap always creates the namespace")),
    ("install.disableHooks", Flag("--no-hooks")),
    ("install.disableOpenAPIValidation", Flag("--disable-openapi-validation")),
    ("install.disableSchemaValidation", Flag("--skip-schema-validation")),
    ("install.disableTakeOwnership", Counts("unless set, existing objects are adopted")),
    ("install.disableWait", LeftToFlux(READINESS)),
    ("install.disableWaitForJobs", LeftToFlux(READINESS)),
    ("install.remediation", LeftToFlux(RECOVERY)),
    ("install.replace", LeftToFlux("applies only after an uninstall that kept its history")),
    ("install.serverSideApply", LeftToFlux(OWNERS)),
    ("install.skipCRDs", LeftToFlux("ignored by helm-controller, which uses `crds`")),
    ("install.strategy", LeftToFlux(RECOVERY)),
    ("install.timeout", Counts("`--timeout`")),
    ("interval", LeftToFlux("Flux's polling interval")),
    ("kubeConfig", Stops("Flux installs the release in another cluster")),
    ("maxHistory", Counts("`--history-max`")),
    ("persistentClient", LeftToFlux("Flux's connection to the API server")),
    ("postRenderStrategy", Counts("whether hooks are post-rendered")),
    ("postRenderers", Counts("in the given order")),
    ("releaseName", Counts("default: targetNamespace and name, shortened")),
    ("rollback", LeftToFlux(RECOVERY)),
    ("serviceAccountName", LeftToFlux("defines who installs it, not what")),
    ("storageNamespace", Counts("must be the namespace of the release, as in Helm")),
    ("suspend", Counts("a suspended release is not installed")),
    ("targetNamespace", Counts("the release's namespace")),
    ("test", LeftToFlux("Flux runs the tests after the hand-over")),
    ("timeout", Counts("`--timeout`")),
    ("uninstall", LeftToFlux("the bootstrap uninstalls no release")),
    ("upgrade.chartNameChangeStrategy", LeftToFlux("applies to releases that Flux owns")),
    ("upgrade.cleanupOnFail", Flag("--cleanup-on-fail")),
    ("upgrade.crds", Counts("CRDs of the chart's `crds` folder are created, replaced or skipped")),
    ("upgrade.disableHooks", Flag("--no-hooks")),
    ("upgrade.disableOpenAPIValidation", Flag("--disable-openapi-validation")),
    ("upgrade.disableSchemaValidation", Flag("--skip-schema-validation")),
    ("upgrade.disableTakeOwnership", Counts("unless set, existing objects are adopted")),
    ("upgrade.disableWait", LeftToFlux(READINESS)),
    ("upgrade.disableWaitForJobs", LeftToFlux(READINESS)),
    ("upgrade.force", Flag("--force")),
    (
        "upgrade.preserveValues",
        Stops("the result depends on values of an earlier revision, which are not in the repository"),
    ),
    ("upgrade.remediation", LeftToFlux(RECOVERY)),
    ("upgrade.serverSideApply", LeftToFlux(OWNERS)),
    ("upgrade.strategy", LeftToFlux(RECOVERY)),
    ("upgrade.timeout", Counts("`--timeout`")),
    ("values", Counts("merged last")),
    ("valuesFrom", Counts("merged in the given order, with targetPath, literal and optional")),
    ("waitStrategy", LeftToFlux(READINESS)),
];

/// The first set field that the bootstrap cannot implement like Flux, and why.
pub(super) fn first_unsupported(release: &Object) -> Option<(&'static str, &'static str)> {
    FIELDS.iter().find_map(|(path, treatment)| match treatment {
        Stops(why) if is_set(at(release, path)) => Some((*path, *why)),
        _ => None,
    })
}

/// The flags of an install or an upgrade (`newInstall`, `newUpgrade` in
/// `internal/action` of helm-controller v1.6.0).
pub(super) fn flags(release: &Object, action: HelmAction) -> Vec<String> {
    let spec = &release.data["spec"];
    let own = &spec[action.field()];
    let mut flags: Vec<String> = FIELDS
        .iter()
        .filter_map(|(path, treatment)| match treatment {
            Flag(flag) if path.starts_with(action.field()) && at(release, path) == true => {
                Some((*flag).to_owned())
            }
            _ => None,
        })
        .collect();
    if own["disableTakeOwnership"] != true {
        flags.push("--take-ownership".to_owned());
    }
    if let Some(timeout) = own["timeout"].as_str().or_else(|| spec["timeout"].as_str()) {
        flags.push(format!("--timeout={timeout}"));
    }
    flags.push(format!("--history-max={}", spec["maxHistory"].as_u64().unwrap_or(5)));
    flags
}

fn at<'a>(release: &'a Object, path: &str) -> &'a Value {
    path.split('.').fold(&release.data["spec"], |value, key| &value[key])
}

fn is_set(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        _ => true,
    }
}
