//! The fence for all writes to the API server: while a run holds a lock, it rejects every write that the lock
//! does not cover.

use std::sync::{Arc, PoisonError, RwLock};

use http::Request;

use super::hold::Hold;
use super::lease::LEASE;
use super::requests::is_read;
use bootstrapper_core::failure::Result;

/// Open until a lock is acquired.
#[derive(Clone, Default)]
pub(super) struct Fence(Arc<RwLock<Option<Arc<Hold>>>>);

impl Fence {
    /// From now on writes need this hold; none after it is released.
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

/// The lock's own Lease must be writable.
fn is_of_the_lock<B>(request: &Request<B>) -> bool {
    request.uri().path().rsplit('/').next() == Some(LEASE)
}
