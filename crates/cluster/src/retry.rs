//! A call that failed on the way is made again, a few times and at once: of a flaky network, a proxy
//! that restarts, or an API server that asks for a moment, a step hears nothing. What stays is for the
//! step to hear, to tell, and to try again in its own time.

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

/// How often one call is made, at most.
const TRIES: usize = 8;

/// The longest `Retry-After` that is waited for here. A longer one is for the step to know.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// For no longer is a call made again. Whoever waits for it has a limit, too, and would hear of nothing
/// but that.
const LONGEST: Duration = Duration::from_secs(8);

/// How long what goes on may take to begin.
const BEGUN: Duration = Duration::from_secs(20);

const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A client that is patient: it makes its calls with `client`.
pub(super) fn with_retries(client: Client, counter: Counter) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = tower::service_fn(move |request| send(client.clone(), request, counter.clone()));
    Client::new(service, namespace)
}

/// One call, as it is made each time.
struct Call {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

/// How a try ended.
enum Tried {
    /// There is an answer to give.
    Answered(Response<Body>),
    /// There will be none.
    Unanswerable(kube::Error),
    /// Nobody answered, or not to the end, or asked for a moment: what is given if it was the last try.
    Failed(kube::Result<Response<Body>>, Again),
}

/// What is to be known of a failed try before the next one.
struct Again {
    /// How long the server wants to be left alone.
    after: Option<Duration>,
    /// Whether the server may have done what was asked.
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
                if !call.may_be_made(&again) || began.elapsed() + pause > LONGEST {
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

/// What goes on has no end that could be waited for; that it begins, is soon.
async fn begun<T>(call: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
    tokio::time::timeout(BEGUN, call).await.unwrap_or_else(|elapsed| {
        Err(kube::Error::Service(std::io::Error::new(std::io::ErrorKind::TimedOut, elapsed).into()))
    })
}

/// A watch, a stream of logs, a connection that becomes something else: whoever opened it goes on.
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

    /// What has no name of its own would be there twice.
    fn may_be_made(&self, again: &Again) -> bool {
        let is_soon = again.after.is_none_or(|after| after <= LONGEST_WAIT);
        let has_name = || self.method != Method::POST || is_dry_run(&self.uri) || self.named().is_some();
        is_soon && (!again.is_done_perhaps || has_name())
    }

    /// The object that is to be made, if it has a name; none, too, for what is asked and not made.
    fn named(&self) -> Option<Object> {
        let object: Object = serde_json::from_slice(&self.body).ok()?;
        object.metadata.name.is_some().then_some(object)
    }

    /// The answer to a call that an earlier try may have got done: that it is there already, or gone
    /// already, is then what was wanted.
    async fn settled(&self, client: &Client, response: Response<Body>) -> kube::Result<Response<Body>> {
        match (&self.method, response.status()) {
            (&Method::DELETE, StatusCode::NOT_FOUND) => {
                let gone = serde_json::json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"});
                Ok(json(StatusCode::OK, gone.to_string().into()))
            }
            (&Method::POST, StatusCode::CONFLICT) => match self.what_stands(client).await {
                Some(object) => Ok(json(StatusCode::CREATED, object)),
                None => Ok(response),
            },
            _ => Ok(response),
        }
    }

    /// The object that a POST was to make, if it is there as it was to be.
    async fn what_stands(&self, client: &Client) -> Option<Bytes> {
        let wanted = self.named()?;
        let place = format!("{}/{}", self.uri.path(), wanted.metadata.name.as_deref()?);
        let (response, body) =
            whole(client.send(Request::get(place).body(Body::empty()).ok()?).await.ok()?).await.ok()?;
        let stands: Object = serde_json::from_slice(&body).ok()?;
        (response.status().is_success() && covers(&stands, &wanted)).then_some(body)
    }
}

/// Reads an answer to its end; what it says stays in it.
async fn whole(response: Response<Body>) -> kube::Result<(Response<Body>, Bytes)> {
    let (parts, body) = response.into_parts();
    let bytes = body.collect_bytes().await?;
    Ok((Response::from_parts(parts, Body::from(bytes.clone())), bytes))
}

/// An answer in the API server's words.
pub(super) fn json(status: StatusCode, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Whether an answer says that the same call may well succeed in a moment. What waits for somebody else,
/// a webhook for one, takes longer than that.
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

/// Whether a connection ended before its answer. That nobody listens there, or shows a certificate that
/// fits, is no matter of a moment; and what the run's own fence holds back never went out.
fn was_cut_off(error: &kube::Error) -> bool {
    let causes =
        std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| error.source());
    let mut connections = causes.filter_map(|cause| cause.downcast_ref::<legacy::Error>());
    let is_broken = || matches!(of_error(error), ApiErrorKind::Unreachable | ApiErrorKind::Truncated);
    withheld(error).is_none() && !connections.any(legacy::Error::is_connect) && is_broken()
}
