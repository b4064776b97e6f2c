//! `Retry-After` is a header, which callers of kube's client cannot read. This copies it into the response
//! body.

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::header::RETRY_AFTER;
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use kube::client::DynBody;
use kube::core::response::StatusDetails;
use tower::BoxError;

use super::status::read_status;

/// The maximum size of an error response.
const LONGEST: usize = 256 * 1024;

/// A response in kube's client.
pub(super) type Answer = Response<Box<DynBody>>;

/// Copies the delay from the header of an error response into its body.
pub(super) fn with_retry_after(answer: Answer) -> BoxFuture<'static, Result<Answer, BoxError>> {
    let seconds = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    match seconds.filter(|_| !answer.status().is_success()) {
        Some(seconds) => rewritten(answer, seconds).boxed(),
        None => futures::future::ready(Ok(answer)).boxed(),
    }
}

async fn rewritten(answer: Answer, seconds: u32) -> Result<Answer, BoxError> {
    let (parts, mut from) = answer.into_parts();
    let mut body = Vec::new();
    while let Some(frame) = from.frame().await {
        body.extend(frame?.into_data().unwrap_or_default());
        if body.len() > LONGEST {
            return Err("the error response is too long".into());
        }
    }
    let rewritten = with_seconds(&body, parts.status, seconds).unwrap_or(body);
    Ok(Response::from_parts(
        parts,
        Box::new(Full::new(Bytes::from(rewritten)).map_err(|never| match never {})),
    ))
}

/// The same error with the delay in seconds; none if it has one already.
fn with_seconds(body: &[u8], code: StatusCode, seconds: u32) -> Option<Vec<u8>> {
    let mut status = read_status(body, code);
    let details = status.details.get_or_insert_with(|| StatusDetails {
        name: String::new(),
        group: String::new(),
        kind: String::new(),
        uid: String::new(),
        causes: Vec::new(),
        retry_after_seconds: 0,
    });
    if details.retry_after_seconds > 0 {
        return None;
    }
    details.retry_after_seconds = seconds;
    serde_json::to_vec(&status).ok()
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn read(body: &[u8]) -> Option<Status> {
        with_seconds(body, StatusCode::TOO_MANY_REQUESTS, 7)
            .map(|body| serde_json::from_slice(&body).unwrap())
    }

    #[test]
    fn retry_after_seconds_are_available_with_the_body() {
        // API priority and fairness responds with plain text.
        let status = read(b"Too many requests, please try again later.\n").unwrap();
        assert_eq!((status.code, status.details.unwrap().retry_after_seconds), (429, 7));
        assert_eq!(status.message, "Too many requests, please try again later.");
        let status =
            read(br#"{"kind":"Status","status":"Failure","code":503,"message":"starting"}"#).unwrap();
        assert_eq!((status.code, status.details.unwrap().retry_after_seconds), (503, 7));
        let own = br#"{"kind":"Status","code":429,"message":"x","details":{"retryAfterSeconds":1}}"#;
        assert!(read(own).is_none());
    }
}
