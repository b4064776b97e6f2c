//! Retries requests that failed in transit, immediately and a few times: steps do not see a flaky network, a
//! restarting proxy or an API server that throttles. Steps handle longer failures: they report them and retry
//! with their own backoff.

use std::future::Future;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy;
use kube::Client;
use kube::client::Body;
use tokio::time::Instant;

use super::api_error_kind::ApiErrorKind;
use super::compare::covers;
use super::requests::{Counter, is_dry_run};
use super::secrets;
use super::status::{asked_to_wait, of_status, read_status};
use super::transport::{of_error, withheld};
use bootstrapper_core::object::Object;

/// The maximum number of attempts.
const TRIES: usize = 8;

/// The longest `Retry-After` to wait for here. A longer one is returned to the step.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// The time limit of all retries: callers have their own timeout, and would only report that.
const LONGEST: Duration = Duration::from_secs(8);

/// The time limit for the start of a stream.
const BEGUN: Duration = Duration::from_secs(20);

const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A client that retries; sends its requests with `client`.
pub(super) fn with_retries(client: Client, counter: Counter) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = tower::service_fn(move |request| send(client.clone(), request, counter.clone()));
    Client::new(service, namespace)
}

/// A request that can be repeated.
struct Call {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

/// The result of an attempt.
enum Tried {
    /// A response.
    Answered(Response<Body>),
    /// A final error.
    Unanswerable(kube::Error),
    /// No response, an incomplete one, or throttling; with the result to return after the last attempt.
    Failed(kube::Result<Response<Body>>, Again),
}

/// What the next attempt needs to know about a failed one.
struct Again {
    /// The server's `Retry-After`.
    after: Option<Duration>,
    /// Whether the server may have executed the request.
    is_done_perhaps: bool,
}

async fn send(client: Client, request: Request<Body>, counter: Counter) -> kube::Result<Response<Body>> {
    if goes_on(&request) {
        return begun(client.send(request)).await;
    }
    let began = Instant::now();
    let (parts, body) = request.into_parts();
    let body = body.collect_bytes().await?;
    let call = Call { method: parts.method, uri: parts.uri, headers: parts.headers, body };
    let mut pauses = pauses();
    let mut is_done_perhaps = false;
    loop {
        match call.try_once(&client).await {
            Tried::Answered(response) if is_done_perhaps => return call.settled(&client, response).await,
            Tried::Answered(response) => return Ok(response),
            Tried::Unanswerable(error) => return Err(error),
            Tried::Failed(last, again) => {
                let Some(pause) = pauses.next() else { return last };
                let pause = again.after.unwrap_or(pause);
                if !call.may_repeat(&again) || began.elapsed() + pause > LONGEST {
                    return last;
                }
                is_done_perhaps |= again.is_done_perhaps;
                tracing::debug!(method = %call.method, uri = %call.uri, "made again");
                counter.count_repeated();
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// A stream does not end, but starts soon.
async fn begun<T>(call: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
    tokio::time::timeout(BEGUN, call).await.unwrap_or_else(|elapsed| {
        Err(kube::Error::Service(std::io::Error::new(std::io::ErrorKind::TimedOut, elapsed).into()))
    })
}

/// A watch, a log stream, an upgraded connection: the caller handles it.
fn goes_on(request: &Request<Body>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    let asks = |word: &str| query.split('&').any(|asked| asked == word);
    request.headers().contains_key(UPGRADE) || asks("watch=true") || asks("watch=1") || asks("follow=true")
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(SHORTEST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .with_jitter()
        .with_max_times(TRIES - 1)
        .build()
}

impl Call {
    fn request(&self) -> Request<Body> {
        let mut request = Request::new(Body::from(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }

    async fn try_once(&self, client: &Client) -> Tried {
        let answered = match client.send(self.request()).await {
            Ok(response) => whole(response).await,
            Err(error) => Err(error),
        };
        if let Ok((_, body)) = &answered
            && secrets::is_about_secrets(&self.uri)
        {
            secrets::mark_body(body);
        }
        match answered {
            Err(error) if was_cut_off(&error) => {
                Tried::Failed(Err(error), Again { after: None, is_done_perhaps: true })
            }
            Err(error) => Tried::Unanswerable(error),
            Ok((response, body)) => match refused_for_a_moment(response.status(), &body) {
                None => Tried::Answered(response),
                Some(again) => Tried::Failed(Ok(response), again),
            },
        }
    }

    /// An object without a name would be created twice.
    fn may_repeat(&self, again: &Again) -> bool {
        let is_soon = again.after.is_none_or(|after| after <= LONGEST_WAIT);
        let has_name = || self.method != Method::POST || is_dry_run(&self.uri) || self.named().is_some();
        is_soon && (!again.is_done_perhaps || has_name())
    }

    /// The object to create, if it has a name; none for reviews, which are not stored.
    fn named(&self) -> Option<Object> {
        let object: Object = serde_json::from_slice(&self.body).ok()?;
        object.metadata.name.is_some().then_some(object)
    }

    /// The response to a request that an earlier attempt may have completed: "already exists" or "not found"
    /// is then a success.
    async fn settled(&self, client: &Client, response: Response<Body>) -> kube::Result<Response<Body>> {
        match (&self.method, response.status()) {
            (&Method::DELETE, StatusCode::NOT_FOUND) => {
                let gone = serde_json::json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"});
                Ok(json(StatusCode::OK, gone.to_string().into()))
            }
            (&Method::POST, StatusCode::CONFLICT) => match self.existing(client).await {
                Some(object) => Ok(json(StatusCode::CREATED, object)),
                None => Ok(response),
            },
            _ => Ok(response),
        }
    }

    /// The object of a POST, if it exists as requested.
    async fn existing(&self, client: &Client) -> Option<Bytes> {
        let wanted = self.named()?;
        let place = format!("{}/{}", self.uri.path(), wanted.metadata.name.as_deref()?);
        let (response, body) =
            whole(client.send(Request::get(place).body(Body::empty()).ok()?).await.ok()?).await.ok()?;
        let stands: Object = serde_json::from_slice(&body).ok()?;
        (response.status().is_success() && covers(&stands, &wanted)).then_some(body)
    }
}

/// Reads a complete response.
async fn whole(response: Response<Body>) -> kube::Result<(Response<Body>, Bytes)> {
    let (parts, body) = response.into_parts();
    let bytes = body.collect_bytes().await?;
    Ok((Response::from_parts(parts, Body::from(bytes.clone())), bytes))
}

/// A response in the API server's format.
pub(super) fn json(status: StatusCode, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Whether the same request may succeed soon. A request that depends on another program, such as a webhook,
/// takes longer.
fn refused_for_a_moment(code: StatusCode, body: &Bytes) -> Option<Again> {
    if !code.is_client_error() && !code.is_server_error() {
        return None;
    }
    let status = read_status(body, code);
    let is_done_perhaps = match of_status(&status) {
        ApiErrorKind::Overload => false,
        ApiErrorKind::ServerFault | ApiErrorKind::NoLeader => true,
        _ => return None,
    };
    Some(Again { after: asked_to_wait(&status), is_done_perhaps })
}

/// Whether the connection broke before the response. Connection refused and certificate errors do not resolve
/// quickly; and a request that the fence rejected was never sent.
fn was_cut_off(error: &kube::Error) -> bool {
    let causes =
        std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| error.source());
    let mut connections = causes.filter_map(|cause| cause.downcast_ref::<legacy::Error>());
    let is_broken = || matches!(of_error(error), ApiErrorKind::Unreachable | ApiErrorKind::Truncated);
    withheld(error).is_none() && !connections.any(legacy::Error::is_connect) && is_broken()
}
