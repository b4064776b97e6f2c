//! The programs that later steps run.

use super::{Findings, Subject};

pub(super) fn check(subject: &Subject) -> Findings {
    [subject.helm.as_ref().err().cloned()].into_iter().collect()
}
