//! Counts requests: the no-op certificate of a run that found nothing to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{Method, Request, Uri};
use serde::Serialize;

/// How many requests were made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// Those that change nothing, dry runs and access reviews among them.
    pub reads: u64,
    /// Those that may change something.
    pub writes: u64,
    /// Those that had failed on the way, and were made again at once.
    pub repeated: u64,
}

/// Counts as they are made.
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

/// Whether it changes nothing.
pub(super) fn is_read<B>(request: &Request<B>) -> bool {
    let uri = request.uri();
    request.method() == Method::GET || is_dry_run(uri) || uri.path().ends_with("/selfsubjectaccessreviews")
}

/// Whether it is only asked what would happen.
pub(super) fn is_dry_run(uri: &Uri) -> bool {
    uri.query().is_some_and(|query| query.contains("dryRun=All"))
}
