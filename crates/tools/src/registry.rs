//! A repository of an OCI registry, as far as Helm does not read it: manifests and blobs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Request, StatusCode, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::Url;

use super::stream::{Download, in_time};
use super::transport::{self, Unread};
use super::{ChartAccess, Environment};
use bootstrapper_core::digest::sha256;
use bootstrapper_core::failure::{Failure, Result, Retry};

/// How often an answer may name another address.
const REDIRECTS: usize = 5;

/// What a signature lies in.
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

/// A repository of an OCI registry.
#[derive(Debug)]
pub struct Registry<'a> {
    host: String,
    name: String,
    access: &'a ChartAccess,
    environment: &'a Environment,
    /// Whether it sees no login, not even one that this user has.
    is_anonymous: bool,
    /// What it wants to see with each request, once it has said so.
    authorization: Option<SecretString>,
}

impl<'a> Registry<'a> {
    /// That of an address as `oci://ghcr.io/org/charts/name`.
    pub fn of(url: &str, access: &'a ChartAccess, environment: &'a Environment) -> Self {
        let address = url.trim_start_matches("oci://");
        let (host, name) = address.split_once('/').unwrap_or((address, ""));
        let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        Self {
            host: host.to_owned(),
            name: parts.join("/"),
            access,
            environment,
            is_anonymous: false,
            authorization: None,
        }
    }

    /// The same, for a public image: it needs no login, and one that has expired would be rejected.
    #[must_use]
    pub fn anonymous(self) -> Self {
        Self { is_anonymous: true, ..self }
    }

    /// A manifest by tag or digest; none if there is no such.
    pub(super) async fn manifest(&mut self, reference: &str) -> Result<Option<Value>> {
        self.json(&format!("manifests/{reference}")).await
    }

    /// A manifest by tag or digest, with its own digest, which the caller compares; none if there is no such.
    pub async fn manifest_and_digest(&mut self, reference: &str) -> Result<Option<(Value, String)>> {
        let path = format!("manifests/{reference}");
        let failed = self.failure(&path);
        let Some(manifest) = in_time(&failed, self.get(&path)).await? else { return Ok(None) };
        let digest = format!("sha256:{}", sha256(&manifest));
        let manifest = serde_json::from_slice(&manifest).map_err(|error| failed.caused_by(&error))?;
        Ok(Some((manifest, digest)))
    }

    /// Opens a blob, whose content the caller compares with its digest; none if there is no such.
    pub async fn open_blob(&mut self, digest: &str) -> Result<Option<Download>> {
        let path = format!("blobs/{digest}");
        let failed = self.failure(&path);
        let response = in_time(&failed, self.response(&path)).await?;
        Ok(response.map(|response| Download::of(failed, response)))
    }

    /// What refers to the manifest of that digest; none if the registry does not know.
    pub(super) async fn referrers(&mut self, digest: &str) -> Result<Option<Value>> {
        self.json(&format!("referrers/{digest}")).await
    }

    /// A blob by its digest; none if there is no such, or if it is another.
    pub(super) async fn blob(&mut self, digest: &str) -> Result<Option<Vec<u8>>> {
        let found = self.get(&format!("blobs/{digest}")).await?;
        Ok(found.filter(|blob| format!("sha256:{}", sha256(blob)) == digest))
    }

    async fn json(&mut self, path: &str) -> Result<Option<Value>> {
        let Some(found) = self.get(path).await? else { return Ok(None) };
        let failed = self.failure(path);
        serde_json::from_slice(&found).map(Some).map_err(|error| failed.caused_by(&error))
    }

    fn scheme(&self) -> &'static str {
        if self.access.plain_http { "http" } else { "https" }
    }

    fn failure(&self, path: &str) -> Failure {
        Failure::step(format!("cannot fetch {path} of {}/{}", self.host, self.name))
    }

    async fn get(&mut self, path: &str) -> Result<Option<Vec<u8>>> {
        let Some(response) = self.response(path).await? else { return Ok(None) };
        let failed = self.failure(path);
        read(response).await.map(Some).map_err(|why| failed.because(why).retry(Retry::MayHelp))
    }

    async fn response(&mut self, path: &str) -> Result<Option<http::Response<hyper::body::Incoming>>> {
        // Docker Hub's registry is elsewhere.
        let host = if self.host == "docker.io" { "registry-1.docker.io" } else { &self.host };
        let failed = self.failure(path);
        let mut at = Url::parse(&format!("{}://{host}/v2/{}/{path}", self.scheme(), self.name))
            .map_err(|error| failed.clone().caused_by(&error))?;
        let own = at.origin();
        let mut has_asked = false;
        for _ in 0..=REDIRECTS {
            // Whoever stores its blobs is shown no credentials.
            let authorization = self.authorization.as_ref().filter(|_| at.origin() == own);
            let answer = self.send(&at, authorization).await?;
            let status = answer.status();
            // A token that was accepted before may have expired since.
            if status == StatusCode::UNAUTHORIZED && !has_asked && at.origin() == own {
                has_asked = true;
                let asked = answer.headers().get_all(header::WWW_AUTHENTICATE).iter();
                let asked: Vec<String> = asked.filter_map(|it| Some(it.to_str().ok()?.to_owned())).collect();
                self.authorization = self.authorize(&asked).await?;
                if self.authorization.is_some() {
                    continue;
                }
            }
            if status.is_redirection() {
                let to = answer.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
                at = to
                    .and_then(|to| at.join(to).ok())
                    .ok_or_else(|| failed.clone().because("it redirects to an invalid address"))?;
                continue;
            }
            if status == StatusCode::NOT_FOUND {
                return Ok(None);
            }
            if !status.is_success() {
                let failure = failed.because(format!("the registry responded with {status}"));
                return Err(if transport::may_pass(status) {
                    failure.retry(Retry::MayHelp)
                } else if self.is_anonymous {
                    failure
                } else {
                    failure.hint("for a private registry run `helm registry login`, or declare the Secret of its source under `secrets` in bootstrapper.yaml")
                });
            }
            return Ok(Some(answer));
        }
        Err(failed.because("too many redirects"))
    }

    async fn send(
        &self,
        at: &Url,
        authorization: Option<&SecretString>,
    ) -> Result<http::Response<hyper::body::Incoming>> {
        let request = Request::get(at.as_str()).header(header::ACCEPT, MANIFESTS);
        let request = match authorization {
            Some(value) => request.header(header::AUTHORIZATION, value.expose_secret()),
            None => request,
        };
        transport::send(request, self.environment, self.access).await.map_err(|error| {
            Failure::step(format!("cannot reach registry {}", self.host)).because(error).retry(Retry::MayHelp)
        })
    }

    /// What the registry is shown after it asked who this is; none if nothing is known that it would take.
    async fn authorize(&self, asked: &[String]) -> Result<Option<SecretString>> {
        let login = if self.is_anonymous { None } else { self.access.authorization(&self.host) };
        let basic = login.map(|encoded| format!("Basic {encoded}"));
        let of = |scheme: &str| {
            asked.iter().find_map(|it| {
                let (said, rest) = it.split_once(' ')?;
                said.eq_ignore_ascii_case(scheme).then(|| rest.to_owned())
            })
        };
        let Some(bearer) = of("Bearer") else {
            return Ok(basic.map(SecretString::from));
        };
        let Some(token_server) = parameter(&bearer, "realm").and_then(|realm| Url::parse(&realm).ok()) else {
            return Ok(None);
        };
        let mut at = token_server;
        for name in ["service", "scope"] {
            if let Some(value) = parameter(&bearer, name) {
                at.query_pairs_mut().append_pair(name, &value);
            }
        }
        let answer = self.send(&at, basic.map(SecretString::from).as_ref()).await?;
        if !answer.status().is_success() {
            return Ok(None);
        }
        let token = read(answer).await.map_err(|why| {
            Failure::step(format!("cannot sign in to registry {}", self.host))
                .because(why)
                .retry(Retry::MayHelp)
        })?;
        let token: Value = serde_json::from_slice(&token).unwrap_or_default();
        let token = token["token"].as_str().or_else(|| token["access_token"].as_str());
        Ok(token.map(|token| format!("Bearer {token}").into()))
    }
}

async fn read(answer: http::Response<hyper::body::Incoming>) -> Result<Vec<u8>, String> {
    transport::body(answer).await.map_err(|why| match why {
        Unread::TooLarge => "its answer is too large".to_owned(),
        Unread::Broken(error) => error,
    })
}

/// A parameter of a challenge: `realm="https://…",service="…"`.
fn parameter(challenge: &str, name: &str) -> Option<String> {
    let mut rest = challenge;
    while let Some((key, after)) = rest.split_once('=') {
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if key.trim_matches([' ', ',']).eq_ignore_ascii_case(name) {
            return Some(value.to_owned());
        }
        rest = next;
    }
    None
}

/// The credentials of a host in the configuration of a Docker client, as Basic authentication has them.
pub(super) fn docker_login(config: &str, host: &str) -> Option<String> {
    let config: Value = serde_json::from_str(config).ok()?;
    let hub = "https://index.docker.io/v1/";
    let names = [host.to_owned(), format!("https://{host}"), format!("https://{host}/v1/")];
    let names = names.iter().map(String::as_str).chain((host == "docker.io").then_some(hub));
    let entry = names.map(|name| &config["auths"][name]).find(|entry| entry.is_object())?;
    entry["auth"].as_str().filter(|auth| !auth.is_empty()).map(str::to_owned).or_else(|| {
        let (user, password) = (entry["username"].as_str()?, entry["password"].as_str()?);
        Some(STANDARD.encode(format!("{user}:{password}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_read_with_commas_in_its_scope() {
        let said = r#"realm="https://x.test/token",service="x.test",scope="repository:a/b:pull,push""#;
        assert_eq!(parameter(said, "realm").as_deref(), Some("https://x.test/token"));
        assert_eq!(parameter(said, "scope").as_deref(), Some("repository:a/b:pull,push"));
        assert_eq!(parameter("realm=a,service=b", "service").as_deref(), Some("b"));
        assert_eq!(parameter("realm", "realm"), None);
        bootstrapper_core::fuzzing::texts(&[said], |text| drop(parameter(text, "scope")));
    }

    #[test]
    fn a_login_is_found_by_its_host() {
        let config = r#"{"auths": {"a.test": {"auth": "YTpi"}, "https://index.docker.io/v1/": {"username": "a", "password": "b"}}}"#;
        for host in ["a.test", "docker.io"] {
            assert_eq!(docker_login(config, host).as_deref(), Some("YTpi"), "{host}");
        }
        assert_eq!(docker_login(config, "b.test"), None);
        assert_eq!(docker_login("{", "a.test"), None);
    }
}
