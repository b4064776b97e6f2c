//! Objects that an earlier run may have created, of which only the names are known.

use async_trait::async_trait;

use crate::teardown::removal;
use bootstrapper_cluster::Cluster;
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_engine::{Changes, Owned, Teardown, Undo};

/// Objects that an earlier run may have created.
pub(crate) struct NamedObjects {
    /// The API server.
    pub cluster: Cluster,
    /// What one of them is called.
    pub noun: String,
    /// The objects: only their names matter.
    pub objects: Vec<Object>,
    /// The field manager that applied them.
    pub manager: &'static str,
}

impl NamedObjects {
    async fn existing(&self) -> Result<Vec<ObjectRef>> {
        let mut existing = removal::existing(&self.cluster, &self.objects, self.manager).await?;
        existing.reverse();
        Ok(existing)
    }
}

#[async_trait]
impl Undo for NamedObjects {
    async fn owned(&self) -> Result<Owned> {
        let objects = self.existing().await?;
        Ok(Owned { diff: removal::diff(&self.noun, &objects), objects, ..Owned::default() })
    }

    async fn teardown(&self, teardown: &Teardown<'_>) -> Result<Changes> {
        removal::remove(&self.cluster, &self.noun, self.existing().await?, teardown).await
    }
}
