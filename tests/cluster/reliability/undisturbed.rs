//! The whole bootstrap of `infra` when nobody disturbs it: what disturbed ones are compared with.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::OnceCell;

use super::pipeline::{Absence, Life};
use crate::proxy::fair;

/// How `infra` came up, from nothing, in one run.
pub(crate) struct Undisturbed {
    pub(crate) took: Duration,
    /// The stages of the run, in the order in which they began.
    pub(crate) stages: Vec<String>,
    /// All objects when the run had ended: see [`super::everything`].
    pub(crate) state: BTreeMap<String, Value>,
}

static KNOWN: OnceCell<Undisturbed> = OnceCell::const_new();

/// Another test has bootstrapped `infra` anyway, so that no further cluster has to come up for this.
pub(crate) fn is_known(undisturbed: Undisturbed) {
    // A test that could not wait has made its own.
    let _ = KNOWN.set(undisturbed);
}

/// The one of this process; it is made here if no other test has been through it yet.
pub(crate) async fn undisturbed() -> &'static Undisturbed {
    let live = async || {
        let life = Life::begin("undisturbed").await;
        let lived = life.bootstrap(fair(), Absence::UntilNoticed(0), |_| None).await;
        lived.undisturbed(life.end_state().await)
    };
    KNOWN.get_or_init(live).await
}

/// The stages of a run, from its events, in the order in which they began.
pub(crate) fn stages(events: &[u8]) -> Vec<String> {
    let mut stages = Vec::new();
    for line in events.split(|byte| *byte == b'\n') {
        let stage = serde_json::from_slice(line).ok().and_then(|event| begun(&event));
        if let Some(stage) = stage.filter(|stage| !stages.contains(stage)) {
            stages.push(stage);
        }
    }
    stages
}

/// The stage of a step that begins.
pub(crate) fn begun(event: &Value) -> Option<String> {
    let stage = event["step"]["stage"].as_str().filter(|_| event["event"] == "step-started")?;
    Some(stage.to_owned())
}
