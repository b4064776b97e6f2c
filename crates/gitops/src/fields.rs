//! Every field of a HelmRelease, and what the bootstrap makes of it. A test compares the list with
//! the schema of Flux; `docs/design/desired-state.md` shows it.

use serde_json::Value;

use bootstrapper_core::object::Object;

/// What Helm does with a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HelmAction {
    /// The first of its revisions.
    Install,
    /// Any other one.
    Upgrade,
}

impl HelmAction {
    /// The field of a HelmRelease that is about it.
    pub(super) fn field(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Upgrade => "upgrade",
        }
    }
}

/// What the bootstrap makes of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// It counts as it does for Flux; and how.
    Counts(&'static str),
    /// Helm has a flag that means the same.
    Flag(&'static str),
    /// It changes nothing of what is installed; and why.
    LeftToFlux(&'static str),
    /// Flux would install something that the bootstrap cannot; and why.
    Stops(&'static str),
}

use Treatment::{Counts, Flag, LeftToFlux, Stops};

const READINESS: &str = "only says when Flux calls it ready: the bootstrap has probes of its own";
const RECOVERY: &str = "only says what Flux does after a failure";
const OWNERS: &str = "says who owns fields, and not what they hold";

/// The fields under `spec`; each stands for what is beneath it.
pub const FIELDS: [(&str, Treatment); 62] = [
    ("chart.spec.chart", Counts("with its source, or refused: only Flux reads git")),
    ("chart.spec.sourceRef", Counts("a HelmRepository of either type")),
    ("chart.spec.version", Counts("an exact version, or the newest of a range")),
    ("chart.spec.ignoreMissingValuesFiles", LeftToFlux("is about `valuesFiles` only")),
    ("chart.spec.interval", LeftToFlux("says when Flux looks again")),
    ("chart.spec.reconcileStrategy", LeftToFlux("is about charts in git, which only Flux reads")),
    ("chart.spec.valuesFiles", Stops("Flux packs the chart anew, with these files as its values")),
    ("chart.spec.verify", Stops("Flux installs only what is signed, and Helm cannot check that")),
    ("chart.metadata", LeftToFlux("goes to the HelmChart that Flux makes")),
    ("chartRef", Counts("an OCIRepository or a HelmChart")),
    ("commonMetadata.annotations", Counts("added to every object")),
    ("commonMetadata.labels", Counts("added to every object")),
    ("dependsOn", LeftToFlux("is checked; in a bootstrap the order is that of its tasks")),
    ("driftDetection", LeftToFlux("only says what Flux does later, when somebody changes an object")),
    ("healthCheckExprs", LeftToFlux(READINESS)),
    ("install.crds", Counts("CRDs beside the templates are made, replaced or left alone")),
    ("install.createNamespace", LeftToFlux("the bootstrap makes the namespace either way")),
    ("install.disableHooks", Flag("--no-hooks")),
    ("install.disableOpenAPIValidation", Flag("--disable-openapi-validation")),
    ("install.disableSchemaValidation", Flag("--skip-schema-validation")),
    ("install.disableTakeOwnership", Counts("without it, loose objects are adopted")),
    ("install.disableWait", LeftToFlux(READINESS)),
    ("install.disableWaitForJobs", LeftToFlux(READINESS)),
    ("install.remediation", LeftToFlux(RECOVERY)),
    ("install.replace", LeftToFlux("only counts after an uninstall that kept its history")),
    ("install.serverSideApply", LeftToFlux(OWNERS)),
    ("install.skipCRDs", LeftToFlux("helm-controller does not look at it: `crds` counts")),
    ("install.strategy", LeftToFlux(RECOVERY)),
    ("install.timeout", Counts("`--timeout`")),
    ("interval", LeftToFlux("says when Flux looks again")),
    ("kubeConfig", Stops("Flux installs it in another cluster")),
    ("maxHistory", Counts("`--history-max`")),
    ("persistentClient", LeftToFlux("says how Flux talks to the API server")),
    ("postRenderStrategy", Counts("whether hooks are post-rendered too")),
    ("postRenderers", Counts("in their order")),
    ("releaseName", Counts("else it is made of targetNamespace and name, and shortened")),
    ("rollback", LeftToFlux(RECOVERY)),
    ("serviceAccountName", LeftToFlux("says who installs it, and not what")),
    ("storageNamespace", Counts("must be where the release is: Helm has no other place")),
    ("suspend", Counts("what is suspended is not installed")),
    ("targetNamespace", Counts("the release's namespace")),
    ("test", LeftToFlux("Flux runs the tests once it has adopted the release")),
    ("timeout", Counts("`--timeout`")),
    ("uninstall", LeftToFlux("the bootstrap uninstalls nothing")),
    ("upgrade.chartNameChangeStrategy", LeftToFlux("is about releases that Flux owns")),
    ("upgrade.cleanupOnFail", Flag("--cleanup-on-fail")),
    ("upgrade.crds", Counts("CRDs beside the templates are made, replaced or left alone")),
    ("upgrade.disableHooks", Flag("--no-hooks")),
    ("upgrade.disableOpenAPIValidation", Flag("--disable-openapi-validation")),
    ("upgrade.disableSchemaValidation", Flag("--skip-schema-validation")),
    ("upgrade.disableTakeOwnership", Counts("without it, loose objects are adopted")),
    ("upgrade.disableWait", LeftToFlux(READINESS)),
    ("upgrade.disableWaitForJobs", LeftToFlux(READINESS)),
    ("upgrade.force", Flag("--force")),
    (
        "upgrade.preserveValues",
        Stops("values of an earlier revision would count, and the repository does not know them"),
    ),
    ("upgrade.remediation", LeftToFlux(RECOVERY)),
    ("upgrade.serverSideApply", LeftToFlux(OWNERS)),
    ("upgrade.strategy", LeftToFlux(RECOVERY)),
    ("upgrade.timeout", Counts("`--timeout`")),
    ("values", Counts("merged last")),
    ("valuesFrom", Counts("merged in their order; targetPath, literal and optional as for Flux")),
    ("waitStrategy", LeftToFlux(READINESS)),
];

/// The first field that is set and that the bootstrap cannot do as Flux would, and why.
pub(super) fn stopping(release: &Object) -> Option<(&'static str, &'static str)> {
    FIELDS.iter().find_map(|(path, treatment)| match treatment {
        Stops(why) if is_set(at(release, path)) => Some((*path, *why)),
        _ => None,
    })
}

/// What Helm is told of an install or an upgrade (`newInstall`, `newUpgrade` in
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
