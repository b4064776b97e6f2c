//! Approvals. Checked before anything on the user's machine is read for a repository.

use std::collections::BTreeSet;

use super::request::{Request, digest_of};
use bootstrapper_core::failure::{Failure, FailureKind, Result};

/// The user's approvals.
#[derive(Debug, Clone, Default)]
pub struct Approvals {
    everything: bool,
    these: BTreeSet<String>,
}

/// The approvals on the command line or in the environment, for this call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// None.
    Nothing,
    /// All requests.
    Everything,
    /// Lists with these digests.
    Lists(BTreeSet<String>),
}

impl Given {
    /// `1`, `true` and `all` approve everything; `0`, `false` and an empty text nothing; anything else is a
    /// comma-separated list of digests.
    pub fn parse(text: Option<&str>) -> Self {
        match text.map(str::trim) {
            None | Some("" | "0" | "false" | "no") => Self::Nothing,
            Some("1" | "true" | "yes" | "all") => Self::Everything,
            Some(digests) => {
                let digests = digests.split(',').map(|one| one.trim().trim_start_matches("sha256:"));
                Self::Lists(digests.filter(|one| !one.is_empty()).map(str::to_owned).collect())
            }
        }
    }
}

impl Approvals {
    /// Without approvals.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// The stored approvals, and those for this call: a list is approved as a whole.
    pub fn new(stored: BTreeSet<String>, given: &Given, list: &[Request]) -> Self {
        let mut approvals = Self { everything: *given == Given::Everything, these: stored };
        if let Given::Lists(digests) = given
            && digests.contains(&digest_of(list))
        {
            approvals.add(list);
        }
        approvals
    }

    /// Adds approvals.
    pub fn add<'a>(&mut self, requests: impl IntoIterator<Item = &'a Request>) {
        self.these.extend(requests.into_iter().map(Request::digest));
    }

    /// Whether a request is approved.
    pub fn allows(&self, request: &Request) -> bool {
        self.everything || self.these.contains(&request.digest())
    }

    /// Fails unless a request is approved.
    pub fn require(&self, request: &Request) -> Result<()> {
        if self.allows(request) {
            return Ok(());
        }
        let failure =
            Failure::new(FailureKind::NotApproved, format!("not approved: {request}")).hint(HOW_TO_APPROVE);
        Err(match &request.location {
            Some(location) => failure.at(location.clone()),
            None => failure,
        })
    }
}

/// How to approve a request.
pub(super) const HOW_TO_APPROVE: &str =
    "review and approve the repository's requests with `bootstrapper trust`";

#[cfg(test)]
mod tests {
    use super::super::request::RequestKind;
    use super::*;

    #[test]
    fn what_is_given_is_everything_or_lists() {
        for nothing in [None, Some(""), Some("0"), Some("false"), Some(" ")] {
            assert_eq!(Given::parse(nothing), Given::Nothing, "{nothing:?}");
        }
        assert_eq!(Given::parse(Some("1")), Given::Everything);
        let lists = Given::Lists(["ab".to_owned(), "cd".to_owned()].into());
        assert_eq!(Given::parse(Some("sha256:ab, cd")), lists);
    }

    #[test]
    fn a_list_that_was_agreed_to_does_not_hold_for_one_more_request() {
        let one = Request::new(RequestKind::Variable, "A", "x");
        let other = Request::new(RequestKind::Command, "rm", "y");
        let given = Given::Lists([digest_of([&one])].into());
        let list = [one.clone()];
        assert!(Approvals::new(BTreeSet::new(), &given, &list).require(&one).is_ok());
        let grown = [one.clone(), other.clone()];
        let approvals = Approvals::new(BTreeSet::new(), &given, &grown);
        assert!(!approvals.allows(&one) && !approvals.allows(&other));
        assert_eq!(approvals.require(&other).unwrap_err().kind, FailureKind::NotApproved);
        let stored = Approvals::new([one.digest()].into(), &Given::Nothing, &grown);
        assert!(stored.allows(&one) && !stored.allows(&other));
        assert!(!Approvals::nothing().allows(&one));
    }
}
