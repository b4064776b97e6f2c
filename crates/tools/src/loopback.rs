//! Authentication for every HTTP server of this program. A loopback port is open to every user of the machine
//! and to every page in their browsers: so a request needs a password that only the owner can read, the right
//! `Host`, and no browser origin.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, ORIGIN, PROXY_AUTHORIZATION};
use http::{HeaderMap, StatusCode};
use rustls::crypto::ring;

use bootstrapper_core::digest::sha256;
use bootstrapper_core::failure::{Failure, Result};

/// The user name for basic authentication. Only the password is checked.
const USER: &str = "sandbox";

/// Content types that web pages can send to any server without a preflight request: those of forms (the Fetch
/// standard, "CORS-safelisted request-header").
const OF_FORMS: [&str; 3] = ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"];

/// A random password that is safe in URLs.
pub fn token() -> Result<String> {
    let mut bytes = [0_u8; 32];
    ring::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| Failure::internal("cannot get random numbers from the system"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// `user:password` for a URL.
pub fn user_info(word: &str) -> String {
    format!("{USER}:{word}")
}

/// Checks the authentication of requests.
#[derive(Clone)]
pub struct Guard {
    header: HeaderName,
    /// Comparing digests takes constant time.
    expected: String,
    /// The accepted host names; any if empty.
    hosts: Vec<String>,
}

impl Guard {
    /// Requires a bearer token, for a server with this name.
    pub fn bearer(word: &str, host: String) -> Self {
        Self { header: AUTHORIZATION, expected: sha256(format!("Bearer {word}")), hosts: vec![host] }
    }

    /// Requires a password, for a server with this name.
    pub fn basic(word: &str, host: String) -> Self {
        Self { header: AUTHORIZATION, expected: sha256(basic(word)), hosts: vec![host] }
    }

    /// Requires a password, for a proxy: it accepts any host.
    pub fn proxy(word: &str) -> Self {
        Self { header: PROXY_AUTHORIZATION, expected: sha256(basic(word)), hosts: Vec::new() }
    }

    /// Why a request is rejected, if it is.
    pub fn refusal(&self, headers: &HeaderMap) -> Option<StatusCode> {
        let shown = headers.get(&self.header).map(|value| sha256(value.as_bytes()));
        if shown.as_ref() != Some(&self.expected) {
            return Some(if self.header == PROXY_AUTHORIZATION {
                StatusCode::PROXY_AUTHENTICATION_REQUIRED
            } else {
                StatusCode::UNAUTHORIZED
            });
        }
        let host = headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !self.hosts.is_empty() && !self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host)) {
            return Some(StatusCode::MISDIRECTED_REQUEST);
        }
        if headers.contains_key(ORIGIN) {
            return Some(StatusCode::FORBIDDEN);
        }
        let of_page = headers.get("sec-fetch-site").is_some_and(|site| site != "none");
        if of_page {
            return Some(StatusCode::FORBIDDEN);
        }
        let content = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let content = content.split(';').next().unwrap_or_default().trim();
        OF_FORMS
            .iter()
            .any(|form| form.eq_ignore_ascii_case(content))
            .then_some(StatusCode::UNSUPPORTED_MEDIA_TYPE)
    }
}

fn basic(word: &str) -> String {
    format!("Basic {}", STANDARD.encode(user_info(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap())
        };
        all.iter().map(pair).collect()
    }

    #[test]
    fn a_request_shows_the_word_names_the_server_and_comes_from_no_page() {
        let guard = Guard::bearer("open", "127.0.0.1:4000".to_owned());
        let own = [("authorization", "Bearer open"), ("host", "127.0.0.1:4000")];
        let with = |more: (&str, &str)| guard.refusal(&headers(&[own[0], own[1], more]));
        assert_eq!(guard.refusal(&headers(&own)), None);
        assert_eq!(with(("content-type", "application/json")), None);
        for (refused, why) in [
            (headers(&own[1..]), 401),
            (headers(&[("authorization", "Bearer other"), own[1]]), 401),
            (headers(&[("authorization", "bearer open"), own[1]]), 401),
            (headers(&own[..1]), 421),
            // A web page whose host name now resolves to loopback (DNS rebinding).
            (headers(&[own[0], ("host", "rebound.example:4000")]), 421),
        ] {
            assert_eq!(guard.refusal(&refused).map(|code| code.as_u16()), Some(why));
        }
        for (page, why) in [
            (("origin", "http://127.0.0.1:4000"), 403),
            (("origin", "null"), 403),
            (("sec-fetch-site", "cross-site"), 403),
            (("content-type", "text/plain;charset=UTF-8"), 415),
            (("content-type", "application/x-www-form-urlencoded"), 415),
        ] {
            assert_eq!(with(page).map(|code| code.as_u16()), Some(why), "{page:?}");
        }
    }

    #[test]
    fn a_proxy_and_a_file_server_require_a_password() {
        let shown = format!("Basic {}", STANDARD.encode("sandbox:open"));
        let proxy = Guard::proxy("open");
        assert_eq!(proxy.refusal(&headers(&[])), Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED));
        assert_eq!(
            proxy.refusal(&headers(&[("authorization", &shown)])).map(|code| code.as_u16()),
            Some(407)
        );
        assert_eq!(
            proxy.refusal(&headers(&[("proxy-authorization", &shown), ("host", "a.example:443")])),
            None
        );
        let files = Guard::basic("open", "127.0.0.1:80".to_owned());
        assert_eq!(files.refusal(&headers(&[("authorization", &shown), ("host", "127.0.0.1:80")])), None);
        assert_ne!(token().unwrap(), token().unwrap());
    }
}
