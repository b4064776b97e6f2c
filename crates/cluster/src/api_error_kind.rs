//! What can go wrong with a call, and whether the same call can go right later. The one classification:
//! of answers (`status`), and of calls without one (`transport`).

use super::immutable::way_out;
use bootstrapper_core::failure::FailureKind;

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ApiErrorKind {
    /// The server has too much to do (429).
    Overload,
    /// The server, or a proxy before it, failed (5xx, and what broke before it knew).
    ServerFault,
    /// No connection, or one that broke.
    Unreachable,
    /// The other end is there, and does not speak TLS yet.
    TlsNotUp,
    /// An answer that ended too early.
    Truncated,
    /// etcd changes its leader, or has none.
    NoLeader,
    /// The kind is not served, not yet or not any more.
    KindNotServed,
    /// A webhook cannot be called.
    WebhookUnreachable,
    /// The namespace is not there yet.
    NoNamespace,
    /// The namespace is going away.
    NamespaceTerminating,
    /// The object is going away.
    BeingDeleted,
    /// Nobody has counted yet what a quota is used for.
    QuotaUnknown,
    /// Roles are not there yet: the server has just started.
    RolesMissing,
    /// Somebody else wrote in between.
    Modified,
    /// Somebody else made it in between.
    AlreadyExists,
    /// A list or watch took too long to follow.
    Expired,
    /// The object is not there.
    NotFound,
    /// The server does not know who asks.
    UnknownUser,
    /// Credentials could not be had.
    NoCredentials,
    /// Whoever asks may not.
    Forbidden,
    /// A quota is used up.
    QuotaExceeded,
    /// A policy says no.
    Denied,
    /// Others own fields.
    Owned,
    /// The object is wrong.
    Invalid,
    /// Fields cannot change: of which kind, and which.
    Immutable { kind: String, fields: Vec<String> },
    /// The object is larger than etcd takes.
    TooLarge,
    /// etcd is full.
    StorageFull,
    /// The certificate is of another authority, or for another name.
    Certificate,
    /// The certificate is not valid at the time that this machine's clock shows.
    Clock,
    /// What answers is no API server.
    NotKubernetes,
    /// A defect of this program.
    Defect,
}

impl ApiErrorKind {
    /// Whether the same can go right later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Overload
            | Self::ServerFault
            | Self::Unreachable
            | Self::TlsNotUp
            | Self::Truncated
            | Self::NoLeader
            | Self::KindNotServed
            | Self::WebhookUnreachable
            | Self::NoNamespace
            | Self::NamespaceTerminating
            | Self::BeingDeleted
            | Self::QuotaUnknown
            | Self::RolesMissing
            | Self::Modified
            | Self::AlreadyExists
            | Self::Expired => true,
            Self::NotFound
            | Self::UnknownUser
            | Self::NoCredentials
            | Self::Forbidden
            | Self::QuotaExceeded
            | Self::Denied
            | Self::Owned
            | Self::Invalid
            | Self::Immutable { .. }
            | Self::TooLarge
            | Self::StorageFull
            | Self::Certificate
            | Self::Clock
            | Self::NotKubernetes
            | Self::Defect => false,
        }
    }

    /// What kind of failure it is.
    pub(super) fn kind(&self) -> FailureKind {
        match self {
            Self::Unreachable
            | Self::TlsNotUp
            | Self::Truncated
            | Self::UnknownUser
            | Self::NoCredentials
            | Self::Forbidden
            | Self::Certificate
            | Self::Clock
            | Self::NotKubernetes => FailureKind::Connection,
            Self::Defect => FailureKind::Internal,
            _ => FailureKind::Step,
        }
    }

    /// What a person can do; none where the words of the server say it, or nothing is to be done.
    pub(super) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Unreachable => {
                "check that the API server runs, and that its address is reachable from this machine"
            }
            Self::UnknownUser => {
                "fetch the kubeconfig again, or log in again: the API server rejects these credentials"
            }
            Self::NoCredentials => "log in again: there are no credentials for this kubeconfig context",
            Self::Forbidden => {
                "or use the cluster's admin kubeconfig: a bootstrap creates cluster-wide roles"
            }
            Self::QuotaExceeded => "raise the quota, or request less",
            Self::Denied => "change the declaration as the policy requires, or change the policy",
            Self::Immutable { kind, .. } => return Some(way_out(kind)),
            Self::TooLarge => "split it: etcd accepts up to 1.5 MiB per object",
            Self::StorageFull => "etcd is full: compact and defragment it, then disarm its alarm",
            Self::NoNamespace => {
                "run the stage `prerequisites` first, which creates namespaces, or declare this one"
            }
            Self::Certificate => {
                "fetch the kubeconfig again: it belongs to another cluster, or to an earlier installation of this one"
            }
            Self::Clock => return Some(clock_hint()),
            Self::NotKubernetes => {
                "check for a proxy or VPN in between: the server at this address is not an API server"
            }
            Self::Defect => "report this text: it is a bug in bootstrapper",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

fn clock_hint() -> String {
    format!(
        "check the clock of this machine, which shows {}; if it is right, fetch the kubeconfig again, or renew the API server's certificate",
        jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%SZ")
    )
}
