//! Between runs and the API server: passes calls on, unless it is told to do something else to them.

use std::convert::Infallible;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use futures::StreamExt as _;
use http::header::{CONTENT_LENGTH, HOST, RETRY_AFTER, TRANSFER_ENCODING};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsConnector;

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Body = UnsyncBoxBody<Bytes, Failure>;

/// One call of a run, or of its Helm.
pub(crate) struct Call {
    /// Which write it is, from 1, since the weather changed; none for a call that changes nothing.
    pub(crate) write: Option<u64>,
    /// Whether it goes on as long as both sides wish.
    pub(crate) is_watch: bool,
    /// Whether Helm makes it.
    pub(crate) is_helms: bool,
    /// What is asked for, without the question.
    pub(crate) path: String,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "each test binary uses its own part")]
pub(crate) enum Fate {
    /// The API server answers.
    Passes,
    /// It is answered in the API server's place, with a `Retry-After` of so many seconds.
    Refused(u16, Option<u32>),
    /// It is refused in words that repeat what was sent.
    Repeated(u16),
    /// The connection ends, and the API server never hears of it.
    Unheard,
    /// The API server does it, and its answer is lost.
    Unanswered,
    /// The connection ends in the middle of the answer.
    Truncated,
    /// The answer takes its time.
    Slow(Duration),
    /// A watch that says nothing, and ends when the moment has come.
    Dropped,
    /// A watch that says nothing until then, and then that what is known is too old.
    Expired,
    /// A watch that never says anything.
    Silent,
}

/// Decides.
pub(crate) type Weather = Arc<dyn Fn(&Call) -> Fate + Send + Sync>;

/// Everything passes.
pub(crate) fn fair() -> Weather {
    Arc::new(|_| Fate::Passes)
}

pub(crate) struct Proxy {
    /// Where it listens.
    url: String,
    inner: Arc<Inner>,
}

struct Inner {
    upstream: Upstream,
    weather: Mutex<Weather>,
    writes: AtomicU64,
    moment: watch::Sender<bool>,
}

/// The API server, as the kubeconfig's user.
struct Upstream {
    authority: String,
    tls: TlsConnector,
}

impl Proxy {
    /// Listens on loopback, in front of the API server of a kubeconfig with certificates in it.
    pub(crate) async fn in_front_of(kubeconfig: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let upstream = Upstream::of(kubeconfig);
        let inner = Arc::new(Inner {
            upstream,
            weather: Mutex::new(fair()),
            writes: AtomicU64::new(0),
            moment: watch::Sender::new(false),
        });
        tokio::spawn(serve(listener, Arc::clone(&inner)));
        Self { url, inner }
    }

    /// The way through it.
    pub(crate) fn kubeconfig(&self, context: &str) -> String {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "users": [{"name": "nobody", "user": {}}],
            "clusters": [{"name": context, "cluster": {"server": self.url}}],
            "contexts": [{"name": context, "context": {"cluster": context, "user": "nobody"}}],
        });
        config.to_string()
    }

    /// From now on; writes are counted anew.
    pub(crate) fn weather(&self, weather: Weather) {
        *self.inner.weather.lock().unwrap() = weather;
        self.inner.writes.store(0, Ordering::SeqCst);
        self.inner.moment.send_replace(false);
    }

    /// The moment for which watches that lie have waited.
    pub(crate) fn moment_has_come(&self) {
        self.inner.moment.send_replace(true);
    }

    /// How many writes came since the weather changed.
    pub(crate) fn writes(&self) -> u64 {
        self.inner.writes.load(Ordering::SeqCst)
    }
}

async fn serve(listener: TcpListener, inner: Arc<Inner>) {
    while let Ok((connection, _)) = listener.accept().await {
        let inner = Arc::clone(&inner);
        let service = service_fn(move |request| {
            let inner = Arc::clone(&inner);
            async move { inner.answer(request).await }
        });
        tokio::spawn(
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(connection), service),
        );
    }
}

impl Inner {
    /// An error ends the connection without an answer.
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Failure> {
        let call = self.call(&request);
        let weather = Arc::clone(&self.weather.lock().unwrap());
        let fate = weather(&call);
        match fate {
            Fate::Passes => self.upstream.ask(request).await,
            Fate::Refused(code, retry_after) => Ok(refusal(code, retry_after)),
            Fate::Repeated(code) => repeated(code, request).await,
            Fate::Unheard => Err("the proxy ends the connection".into()),
            Fate::Unanswered => {
                let answer = self.upstream.ask(request).await?;
                answer.into_body().collect().await?;
                Err("the proxy keeps the answer".into())
            }
            Fate::Truncated => Ok(truncated(self.upstream.ask(request).await?).await?),
            Fate::Slow(pause) => {
                let answer = self.upstream.ask(request).await;
                tokio::time::sleep(pause).await;
                answer
            }
            Fate::Dropped | Fate::Expired | Fate::Silent => {
                let moment = self.moment.subscribe();
                Ok(self.upstream.ask(request).await?.map(|_| lying(fate, moment)))
            }
        }
    }

    fn call(&self, request: &Request<Incoming>) -> Call {
        let query = request.uri().query().unwrap_or_default();
        let path = request.uri().path().to_owned();
        let is_read = request.method() == Method::GET
            || query.contains("dryRun=All")
            || path.ends_with("/selfsubjectaccessreviews");
        let agent = request.headers().get(http::header::USER_AGENT);
        Call {
            write: (!is_read).then(|| self.writes.fetch_add(1, Ordering::SeqCst) + 1),
            is_watch: query.contains("watch=true") || query.contains("watch=1"),
            is_helms: agent.is_some_and(|agent| agent.as_bytes().starts_with(b"Helm")),
            path,
        }
    }
}

impl Upstream {
    fn of(kubeconfig: &Path) -> Self {
        // Two providers of cryptography may be linked in; the first to be installed counts.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config: Value = serde_json::from_slice(&std::fs::read(kubeconfig).unwrap()).unwrap();
        let decoded = |value: &Value| {
            base64::engine::general_purpose::STANDARD.decode(value.as_str().unwrap()).unwrap()
        };
        let (cluster, user) = (&config["clusters"][0]["cluster"], &config["users"][0]["user"]);
        let mut roots = rustls::RootCertStore::empty();
        let authority = decoded(&cluster["certificate-authority-data"]);
        roots.add(CertificateDer::from_pem_slice(&authority).unwrap()).unwrap();
        let certificate = CertificateDer::from_pem_slice(&decoded(&user["client-certificate-data"])).unwrap();
        let key = PrivateKeyDer::from_pem_slice(&decoded(&user["client-key-data"])).unwrap();
        let tls = rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![certificate], key)
            .unwrap();
        let server = cluster["server"].as_str().unwrap();
        Self {
            authority: server.trim_start_matches("https://").to_owned(),
            tls: TlsConnector::from(Arc::new(tls)),
        }
    }

    async fn ask(&self, mut request: Request<Incoming>) -> Result<Response<Body>, Failure> {
        request.headers_mut().insert(HOST, HeaderValue::from_str(&self.authority)?);
        let connection = TcpStream::connect(&self.authority).await?;
        let connection = self.tls.connect(ServerName::try_from("127.0.0.1")?, connection).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(connection)).await?;
        tokio::spawn(connection);
        Ok(sender.send_request(request).await?.map(|body| body.map_err(Into::into).boxed_unsync()))
    }
}

fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code})
}

/// As the API server, and what stands before it, would put it.
fn refusal(code: u16, retry_after: Option<u32>) -> Response<Body> {
    let (reason, message) = match code {
        429 => ("TooManyRequests", "the server has received too many requests, please try again later"),
        503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
        _ => ("InternalError", "an error on the server has prevented the request from succeeding"),
    };
    let mut response = Response::new(whole(status(code, reason, message).to_string()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// As the API server refuses what does not fit a schema, with all of the body.
async fn repeated(code: u16, request: Request<Incoming>) -> Result<Response<Body>, Failure> {
    let path = request.uri().path().to_owned();
    let sent = request.into_body().collect().await?.to_bytes();
    let sent = String::from_utf8_lossy(&sent);
    let hidden = base64::engine::general_purpose::STANDARD.encode(sent.as_bytes());
    let message = format!("failed to create typed patch object ({path}): .data: {sent} or {hidden}");
    let reason = if code == 422 { "Invalid" } else { "InternalError" };
    let mut response = Response::new(whole(status(code, reason, &message).to_string()));
    *response.status_mut() = StatusCode::from_u16(code)?;
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

async fn truncated(response: Response<Body>) -> Result<Response<Body>, Failure> {
    let (mut parts, body) = response.into_parts();
    let bytes = body.collect().await?.to_bytes();
    parts.headers.remove(TRANSFER_ENCODING);
    parts.headers.insert(CONTENT_LENGTH, bytes.len().into());
    let half = Frame::data(bytes.slice(..bytes.len() / 2));
    let frames = [Ok(half), Err("the proxy ends the connection".into())];
    Ok(Response::from_parts(parts, StreamBody::new(futures::stream::iter(frames)).boxed_unsync()))
}

/// What a watch says that lies.
fn lying(fate: Fate, mut moment: watch::Receiver<bool>) -> Body {
    let last: Option<Result<Frame<Bytes>, Failure>> = (fate == Fate::Expired).then(|| {
        let gone = status(410, "Expired", "too old resource version");
        Ok(Frame::data(Bytes::from(format!("{}\n", json!({"type": "ERROR", "object": gone})))))
    });
    let until = async move {
        if fate == Fate::Silent {
            std::future::pending::<()>().await;
        }
        let _ = moment.wait_for(|has_come| *has_come).await;
        last
    };
    StreamBody::new(futures::stream::once(until).filter_map(std::future::ready)).boxed_unsync()
}
