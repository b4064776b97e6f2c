//! What it comes to when there is no answer, or none that can be read.

use super::trouble::Trouble;
use bootstrapper_core::failure::Failure;

/// What went wrong, by the error and what lies beneath it.
pub(super) fn of_error(error: &kube::Error) -> Trouble {
    match error {
        kube::Error::Auth(_) => Trouble::NoCredentials,
        kube::Error::BuildRequest(_) | kube::Error::HttpError(_) => Trouble::Defect,
        kube::Error::SerdeError(error) if error.is_eof() => Trouble::Truncated,
        kube::Error::SerdeError(error) if error.is_syntax() => Trouble::NotKubernetes,
        kube::Error::SerdeError(_) => Trouble::Defect,
        kube::Error::FromUtf8(_) => Trouble::NotKubernetes,
        kube::Error::ProxyProtocolUnsupported { .. }
        | kube::Error::ProxyProtocolDisabled { .. }
        | kube::Error::InferConfig(_)
        | kube::Error::InferKubeconfig(_)
        | kube::Error::TlsRequired => Trouble::NoCredentials,
        _ => of_words(&deepest(error)),
    }
}

/// The line of the deepest cause.
pub(super) fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let deepest = std::iter::successors(Some(error), |error| error.source()).last().unwrap_or(error);
    deepest.to_string().lines().next().unwrap_or_default().to_owned()
}

/// What was not let through says why itself.
pub(super) fn withheld(error: &kube::Error) -> Option<&Failure> {
    match error {
        kube::Error::Service(error) => error.downcast_ref(),
        _ => None,
    }
}

fn of_words(said: &str) -> Trouble {
    let lower = said.to_lowercase();
    let says = |words: &str| lower.contains(words);
    if says("certificate") || says("unknownissuer") {
        return if says("expired") || says("not valid yet") || says("notvalidyet") || says("not valid before")
        {
            Trouble::Clock
        } else {
            Trouble::Certificate
        };
    }
    if says("handshake") || says("corrupt message") || says("invalidcontenttype") {
        return Trouble::TlsNotUp;
    }
    if says("eof") || says("end of file") || says("incomplete") || says("reading a body") {
        return Trouble::Truncated;
    }
    Trouble::Unreachable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_connection_tell_what_happened_to_it() {
        for (said, trouble) in [
            ("Connection refused (os error 111)", Trouble::Unreachable),
            ("Connection reset by peer (os error 104)", Trouble::Unreachable),
            (
                "failed to lookup address information: Temporary failure in name resolution",
                Trouble::Unreachable,
            ),
            ("deadline has elapsed", Trouble::Unreachable),
            ("tls handshake eof", Trouble::TlsNotUp),
            ("received corrupt message of type InvalidContentType", Trouble::TlsNotUp),
            ("unexpected end of file", Trouble::Truncated),
            ("connection closed before message completed", Trouble::Unreachable),
            ("invalid peer certificate: UnknownIssuer", Trouble::Certificate),
            ("invalid peer certificate: certificate not valid for name \"x\"", Trouble::Certificate),
            ("received fatal alert: BadCertificate", Trouble::Certificate),
            ("invalid peer certificate: certificate expired: verification time 2 (UNIX)", Trouble::Clock),
            ("invalid peer certificate: certificate not valid yet: verification time 1", Trouble::Clock),
        ] {
            assert_eq!(of_words(said), trouble, "{said}");
        }
    }
}
