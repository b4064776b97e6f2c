//! Classifies failed requests, and whether a retry can help. The only classification: of error responses
//! (`status`), and of requests without a response (`transport`).

use super::immutable::remedy_for;
use bootstrapper_core::failure::FailureKind;

/// The kind of error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ApiErrorKind {
    /// The server is overloaded (429).
    Overload,
    /// The server, or a proxy in front of it, failed (5xx, or a broken connection).
    ServerFault,
    /// No connection, or a broken one.
    Unreachable,
    /// The server accepts connections, but not TLS yet.
    TlsNotUp,
    /// The response was cut off.
    Truncated,
    /// etcd is changing its leader, or has none.
    NoLeader,
    /// The kind is not served, not yet or no longer.
    KindNotServed,
    /// A webhook cannot be called.
    WebhookUnreachable,
    /// The namespace does not exist yet.
    NoNamespace,
    /// The namespace is being deleted.
    NamespaceTerminating,
    /// The object is being deleted.
    BeingDeleted,
    /// The usage of a quota has not been computed yet.
    QuotaUnknown,
    /// Roles do not exist yet: the server has just started.
    RolesMissing,
    /// Conflict: another client wrote in between.
    Modified,
    /// Another client created it in between.
    AlreadyExists,
    /// A list or watch expired (410).
    Expired,
    /// The object is not found.
    NotFound,
    /// The credentials are rejected (401).
    UnknownUser,
    /// Credentials could not be obtained.
    NoCredentials,
    /// A permission is missing (403).
    Forbidden,
    /// A quota is exceeded.
    QuotaExceeded,
    /// An admission policy denies it.
    Denied,
    /// Field conflict: other managers own the fields.
    Owned,
    /// The object is invalid.
    Invalid,
    /// Immutable fields: the kind, and the fields.
    Immutable { kind: String, fields: Vec<String> },
    /// The object exceeds etcd's size limit.
    TooLarge,
    /// etcd is full.
    StorageFull,
    /// The certificate is signed by another CA, or is for another name.
    Certificate,
    /// The certificate is not valid at the time of this machine's clock.
    Clock,
    /// The other end is not an API server.
    NotKubernetes,
    /// A bug in this program.
    Defect,
}

impl ApiErrorKind {
    /// Whether a retry can help.
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

    /// The kind of failure.
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

    /// The hint; none if the server's message contains it, or nothing can be done.
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
            Self::Immutable { kind, .. } => return Some(remedy_for(kind)),
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
