//! Counts requests: proves that a run without changes writes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{Method, Request, Uri};
use serde::Serialize;

/// The number of requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// Requests that change nothing, including dry runs and access reviews.
    pub reads: u64,
    /// Requests that may change something.
    pub writes: u64,
    /// Requests that failed in transit and were retried immediately.
    pub repeated: u64,
}

/// The live counters.
#[derive(Debug, Clone, Default)]
pub(super) struct Counter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    reads: AtomicU64,
    writes: AtomicU64,
    repeated: AtomicU64,
}

impl Counter {
    pub(super) fn count<B>(&self, request: &Request<B>) {
        let counter = if is_read(request) { &self.0.reads } else { &self.0.writes };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_repeated(&self) {
        self.0.repeated.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn counted(&self) -> Requests {
        Requests {
            reads: self.0.reads.load(Ordering::Relaxed),
            writes: self.0.writes.load(Ordering::Relaxed),
            repeated: self.0.repeated.load(Ordering::Relaxed),
        }
    }
}

/// Whether the request changes nothing.
pub(super) fn is_read<B>(request: &Request<B>) -> bool {
    let uri = request.uri();
    request.method() == Method::GET || is_dry_run(uri) || uri.path().ends_with("/selfsubjectaccessreviews")
}

/// Whether it is a dry run or a review.
pub(super) fn is_dry_run(uri: &Uri) -> bool {
    uri.query().is_some_and(|query| query.contains("dryRun=All"))
}
