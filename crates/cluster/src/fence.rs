//! The fence that every write to the API server passes: when a run holds a lock, it writes nothing
//! without it.

use std::sync::{Arc, PoisonError, RwLock};

use http::Request;

use super::hold::Hold;
use super::lease::LEASE;
use super::requests::is_read;
use bootstrapper_core::failure::Result;

/// It is open until a lock is taken.
#[derive(Clone, Default)]
pub(super) struct Fence(Arc<RwLock<Option<Arc<Hold>>>>);

impl Fence {
    /// From now on writes need this hold; or none, once it is given back.
    pub(super) fn set(&self, hold: Option<Arc<Hold>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = hold;
    }

    /// Passes a request, or fails.
    pub(super) async fn pass<B>(&self, request: Request<B>) -> Result<Request<B>> {
        let hold = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(hold) = hold.filter(|_| !is_read(&request) && !is_of_the_lock(&request)) {
            hold.pass().await?;
        }
        Ok(request)
    }
}

/// The lock itself is written to be held.
fn is_of_the_lock<B>(request: &Request<B>) -> bool {
    request.uri().path().rsplit('/').next() == Some(LEASE)
}
