//! Classifies missing or unreadable responses.

use super::api_error_kind::ApiErrorKind;
use bootstrapper_core::failure::Failure;

/// The kind of error, by the error and its sources.
pub(super) fn of_error(error: &kube::Error) -> ApiErrorKind {
    match error {
        kube::Error::Auth(_) => ApiErrorKind::NoCredentials,
        kube::Error::BuildRequest(_) | kube::Error::HttpError(_) => ApiErrorKind::Defect,
        kube::Error::SerdeError(error) if error.is_eof() => ApiErrorKind::Truncated,
        kube::Error::SerdeError(error) if error.is_syntax() => ApiErrorKind::NotKubernetes,
        kube::Error::SerdeError(_) => ApiErrorKind::Defect,
        kube::Error::FromUtf8(_) => ApiErrorKind::NotKubernetes,
        kube::Error::ProxyProtocolUnsupported { .. }
        | kube::Error::ProxyProtocolDisabled { .. }
        | kube::Error::InferConfig(_)
        | kube::Error::InferKubeconfig(_)
        | kube::Error::TlsRequired => ApiErrorKind::NoCredentials,
        _ => of_message(&deepest(error)),
    }
}

/// The message of the deepest cause.
pub(super) fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let deepest = std::iter::successors(Some(error), |error| error.source()).last().unwrap_or(error);
    deepest.to_string().lines().next().unwrap_or_default().to_owned()
}

/// A write that the fence rejected has its own failure.
pub(super) fn withheld(error: &kube::Error) -> Option<&Failure> {
    match error {
        kube::Error::Service(error) => error.downcast_ref(),
        _ => None,
    }
}

fn of_message(said: &str) -> ApiErrorKind {
    let lower = said.to_lowercase();
    let says = |words: &str| lower.contains(words);
    if says("certificate") || says("unknownissuer") {
        return if says("expired") || says("not valid yet") || says("notvalidyet") || says("not valid before")
        {
            ApiErrorKind::Clock
        } else {
            ApiErrorKind::Certificate
        };
    }
    if says("handshake") || says("corrupt message") || says("invalidcontenttype") {
        return ApiErrorKind::TlsNotUp;
    }
    if says("eof") || says("end of file") || says("incomplete") || says("reading a body") {
        return ApiErrorKind::Truncated;
    }
    ApiErrorKind::Unreachable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_errors_are_classified_by_message() {
        for (said, trouble) in [
            ("Connection refused (os error 111)", ApiErrorKind::Unreachable),
            ("Connection reset by peer (os error 104)", ApiErrorKind::Unreachable),
            (
                "failed to lookup address information: Temporary failure in name resolution",
                ApiErrorKind::Unreachable,
            ),
            ("deadline has elapsed", ApiErrorKind::Unreachable),
            ("tls handshake eof", ApiErrorKind::TlsNotUp),
            ("received corrupt message of type InvalidContentType", ApiErrorKind::TlsNotUp),
            ("unexpected end of file", ApiErrorKind::Truncated),
            ("connection closed before message completed", ApiErrorKind::Unreachable),
            ("invalid peer certificate: UnknownIssuer", ApiErrorKind::Certificate),
            ("invalid peer certificate: certificate not valid for name \"x\"", ApiErrorKind::Certificate),
            ("received fatal alert: BadCertificate", ApiErrorKind::Certificate),
            (
                "invalid peer certificate: certificate expired: verification time 2 (UNIX)",
                ApiErrorKind::Clock,
            ),
            ("invalid peer certificate: certificate not valid yet: verification time 1", ApiErrorKind::Clock),
        ] {
            assert_eq!(of_message(said), trouble, "{said}");
        }
    }
}
