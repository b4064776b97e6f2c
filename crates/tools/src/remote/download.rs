//! Downloads one file: TLS only, with the proxy of the environment.

use http::{Request, Response, header};
use hyper::body::Incoming;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::address::{Remote, Use, remote};
use crate::transport::{self, Unread};
use crate::{ChartAccess, Environment};
use bootstrapper_core::failure::{Failure, Result, Retry};
use bootstrapper_core::files::LARGEST;

/// The maximum number of redirects.
const REDIRECTS: usize = 5;

/// Downloads a file. The error says whether it is transient.
pub(super) async fn download(url: &str, environment: &Environment) -> Result<Vec<u8>> {
    let response = respond(url, None, environment).await?;
    transport::body(response).await.map_err(|why| match why {
        Unread::TooLarge => {
            unfetched(url).because(format!("it is larger than {} MiB", LARGEST / 1024 / 1024))
        }
        Unread::Broken(error) => unfetched(url).because(error).retry(Retry::MayHelp),
    })
}

/// The response for a file, whose body is not read yet. Only the first server gets `authorization`.
pub(crate) async fn respond(
    url: &str,
    authorization: Option<&SecretString>,
    environment: &Environment,
) -> Result<Response<Incoming>> {
    let mut at = url.to_owned();
    for hop in 0..=REDIRECTS {
        let request = Request::get(&at).header(header::ACCEPT, "*/*");
        let request = match authorization.filter(|_| hop == 0) {
            Some(value) => request.header(header::AUTHORIZATION, value.expose_secret()),
            None => request,
        };
        let response = transport::send(request, environment, &ChartAccess::default())
            .await
            .map_err(|error| unfetched(url).because(format!("{error:#}")).retry(Retry::MayHelp))?;
        let status = response.status();
        if status.is_redirection() {
            at = redirected(&at, &response).map_err(|why| unfetched(url).because(why))?;
            continue;
        }
        if !status.is_success() {
            let failure = unfetched(url).because(format!("{at} responded with {status}"));
            return Err(if transport::may_pass(status) { failure.retry(Retry::MayHelp) } else { failure });
        }
        return Ok(response);
    }
    Err(unfetched(url).because("too many redirects"))
}

fn unfetched(url: &str) -> Failure {
    Failure::step(format!("cannot fetch {url}"))
}

/// The target of a redirect: must use TLS, too.
fn redirected(from: &str, response: &Response<Incoming>) -> Result<String, String> {
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let to = location.and_then(|to| Url::parse(from).ok()?.join(to).ok());
    let to = to.ok_or_else(|| "it redirects to an invalid address".to_owned())?;
    match remote(to.as_str(), Use::File) {
        Ok(Some(Remote::Manifest(url))) => Ok(url),
        Ok(_) => Err(format!("it redirects to {to}, which is not an https:// address")),
        Err(refused) => Err(format!("it redirects to {to}: {refused}")),
    }
}
