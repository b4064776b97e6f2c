//! Steps that create nothing in a cluster.

/// Implements for a step that it owns nothing that could be removed.
macro_rules! owns_nothing {
    ($step:ty) => {
        #[async_trait::async_trait]
        impl bootstrapper_engine::Undo for $step {
            async fn owned(&self) -> bootstrapper_core::failure::Result<bootstrapper_engine::Owned> {
                Ok(bootstrapper_engine::Owned::default())
            }

            async fn teardown(
                &self,
                _: &bootstrapper_engine::Teardown<'_>,
            ) -> bootstrapper_core::failure::Result<bootstrapper_engine::Changes> {
                Ok(bootstrapper_engine::Changes::default())
            }
        }
    };
}

pub(crate) use owns_nothing;
