//! A cache of the resources that the API server serves.

use std::collections::HashMap;
use std::sync::Arc;

use kube::core::ApiResource;
use tokio::sync::{Mutex, OwnedMutexGuard, RwLock};

/// A served kind.
#[derive(Debug, Clone)]
pub(super) struct Kind {
    pub(super) resource: ApiResource,
    pub(super) is_namespaced: bool,
}

/// The known resources.
#[derive(Default)]
pub(super) struct Served {
    /// Kinds by API version and name.
    pub(super) kinds: RwLock<HashMap<(String, String), Kind>>,
    /// Pending requests for a version.
    asking: Mutex<HashMap<String, Arc<Mutex<()>>>>,
}

impl Served {
    pub(super) async fn asking(&self, api_version: &str) -> OwnedMutexGuard<()> {
        let of_version = Arc::clone(self.asking.lock().await.entry(api_version.to_owned()).or_default());
        of_version.lock_owned().await
    }
}
