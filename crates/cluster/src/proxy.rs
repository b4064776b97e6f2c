//! Selects the proxy for an API server as kubectl does. `proxy-url` of the kubeconfig applies to
//! every server; the environment's proxies apply except to `NO_PROXY`, and never to loopback.

use std::net::IpAddr;

use http::Uri;
use http::uri::Scheme;
use ipnet::IpNet;
use percent_encoding::percent_decode_str;

use bootstrapper_core::failure::{Failure, FailureKind, Result};

/// The environment variables that set proxies.
#[derive(Debug, Clone, Default)]
pub(super) struct ProxyVariables {
    https: Option<Named>,
    http: Option<Named>,
    all: Option<Named>,
    no: String,
    /// CGI servers pass a request header as `HTTP_PROXY`.
    is_cgi: bool,
}

/// A value, and the name of its variable.
#[derive(Debug, Clone)]
struct Named {
    variable: &'static str,
    value: String,
}

/// A proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proxy {
    pub(super) kind: ProxyKind,
    /// Scheme, host and port; no credentials.
    pub(super) address: Uri,
    /// User and password.
    pub(super) credentials: Option<(String, String)>,
    /// Its source: `HTTPS_PROXY`, `proxy-url of cluster x`.
    named_by: String,
}

/// The protocol of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProxyKind {
    /// CONNECT, without TLS.
    Http,
    /// CONNECT, over TLS.
    Https,
    /// SOCKS 5.
    Socks5,
}

impl ProxyVariables {
    /// The proxies of this process's environment.
    pub(super) fn here() -> Self {
        Self::of(|name| std::env::var(name).ok())
    }

    fn of(variable: impl Fn(&'static str) -> Option<String>) -> Self {
        let first = |names: [&'static str; 2]| {
            let named = |name| {
                let value = variable(name).filter(|value| !value.trim().is_empty())?;
                Some(Named { variable: name, value: value.trim().to_owned() })
            };
            names.into_iter().find_map(named)
        };
        Self {
            https: first(["HTTPS_PROXY", "https_proxy"]),
            http: first(["HTTP_PROXY", "http_proxy"]),
            all: first(["ALL_PROXY", "all_proxy"]),
            no: first(["NO_PROXY", "no_proxy"]).map(|named| named.value).unwrap_or_default(),
            is_cgi: variable("REQUEST_METHOD").is_some(),
        }
    }

    /// The proxy for a server; none if it is reached directly.
    pub(super) fn proxy_for(&self, server: &Uri) -> Result<Option<Proxy>> {
        let is_plain = server.scheme() == Some(&Scheme::HTTP);
        let named = if is_plain { self.http.as_ref().filter(|_| !self.is_cgi) } else { self.https.as_ref() };
        let Some(named) = named.or(self.all.as_ref()) else { return Ok(None) };
        if !self.is_wanted_for(server) {
            return Ok(None);
        }
        Proxy::read(&named.value, named.variable).map(Some)
    }

    fn is_wanted_for(&self, server: &Uri) -> bool {
        let Some(host) = server.host() else { return false };
        let host = host.trim_matches(['[', ']']).to_lowercase();
        let port = port_of(server);
        let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
            return false;
        }
        let mut entries = self.no.split(',').map(|entry| entry.trim().to_lowercase());
        !entries.any(|entry| names(&entry, &host, address, port))
    }
}

/// Whether an entry of `NO_PROXY` matches a host: `*`, an address or a range, a domain with its subdomains,
/// `.domain` and `*.domain` for subdomains only; all except ranges optionally with a port.
fn names(entry: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    if let Ok(range) = entry.parse::<IpNet>() {
        return address.is_some_and(|address| range.contains(&address));
    }
    let (named, named_port) = with_port(entry);
    if named.is_empty() || named_port.is_some_and(|named| named != port) {
        return false;
    }
    if let Ok(named) = named.parse::<IpAddr>() {
        return address == Some(named.to_canonical());
    }
    let named = named.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(named);
    match named.strip_prefix('.') {
        Some(_) => host.ends_with(named),
        None => host == named || host.strip_suffix(named).is_some_and(|below| below.ends_with('.')),
    }
}

/// `example.test:6443`, `[fd00::1]:6443`, or without a port. An entry with an invalid port matches nothing.
fn with_port(entry: &str) -> (&str, Option<u16>) {
    if let Some(rest) = entry.strip_prefix('[') {
        let Some((address, after)) = rest.split_once(']') else { return ("", None) };
        return match after.strip_prefix(':').map(str::parse) {
            None => (address, None),
            Some(Ok(port)) => (address, Some(port)),
            Some(Err(_)) => ("", None),
        };
    }
    match entry.split_once(':') {
        // An IPv6 address has several colons.
        Some((_, rest)) if rest.contains(':') => (entry, None),
        Some((host, port)) => port.parse().map_or(("", None), |port| (host, Some(port))),
        None => (entry, None),
    }
}

fn port_of(server: &Uri) -> u16 {
    let usual = if server.scheme() == Some(&Scheme::HTTP) { 80 } else { 443 };
    server.port_u16().unwrap_or(usual)
}

impl Proxy {
    /// Parses a proxy's URL; the default scheme is HTTP. An invalid URL is not shown: it may contain a
    /// password.
    pub(super) fn read(text: &str, named_by: &str) -> Result<Self> {
        let unusable = |why: String| {
            Err(Failure::new(FailureKind::Connection, format!("the proxy of {named_by} cannot be used"))
                .because(why)
                .hint("use http://host:port, https://host:port or socks5://host:port"))
        };
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let Ok(url) = url::Url::parse(&with_scheme) else { return unusable("it is not a URL".to_owned()) };
        let (kind, usual_port) = match url.scheme() {
            "http" => (ProxyKind::Http, 80),
            "https" => (ProxyKind::Https, 443),
            "socks5" | "socks5h" => (ProxyKind::Socks5, 1080),
            other => return unusable(format!("its scheme is {other}, not http, https or socks5")),
        };
        let port = url.port().unwrap_or(usual_port);
        let scheme = if kind == ProxyKind::Https { "https" } else { "http" };
        let address = url.host_str().filter(|host| !host.is_empty()).and_then(|host| {
            let host = host.trim_matches(['[', ']']);
            let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
            format!("{scheme}://{host}:{port}").parse().ok()
        });
        let Some(address) = address else { return unusable("it has no host".to_owned()) };
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        let credentials =
            has_credentials.then(|| (decoded(url.username()), decoded(url.password().unwrap_or_default())));
        Ok(Self { kind, address, credentials, named_by: named_by.to_owned() })
    }

    /// `the proxy of HTTPS_PROXY, proxy.test:3128`.
    pub(super) fn described(&self) -> String {
        let authority = self.address.authority().map(ToString::to_string).unwrap_or_default();
        format!("the proxy of {}, {authority}", self.named_by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(all: &[(&'static str, &str)]) -> ProxyVariables {
        let all: Vec<(&str, String)> = all.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        ProxyVariables::of(|name| all.iter().find(|(of, _)| *of == name).map(|(_, value)| value.clone()))
    }

    fn chosen(all: &[(&'static str, &str)], server: &str) -> Option<String> {
        let proxy = variables(all).proxy_for(&server.parse().unwrap()).unwrap();
        proxy.map(|proxy| proxy.address.to_string())
    }

    #[test]
    fn the_environment_decides_as_for_kubectl() {
        let https = ("HTTPS_PROXY", "http://p:1");
        let server = "https://api.test:6443";
        assert_eq!(chosen(&[], server), None);
        assert_eq!(chosen(&[https], server).unwrap(), "http://p:1/");
        assert_eq!(chosen(&[("https_proxy", "p:1")], server).unwrap(), "http://p:1/");
        assert_eq!(chosen(&[("HTTPS_PROXY", "  "), ("https_proxy", "q:1")], server).unwrap(), "http://q:1/");
        assert_eq!(chosen(&[("HTTP_PROXY", "http://h:1")], server), None);
        assert_eq!(chosen(&[("HTTP_PROXY", "http://h:1"), https], "http://api.test").unwrap(), "http://h:1/");
        assert_eq!(
            chosen(&[("HTTP_PROXY", "http://h:1"), ("REQUEST_METHOD", "GET")], "http://api.test"),
            None
        );
        assert_eq!(chosen(&[("ALL_PROXY", "socks5://s")], server).unwrap(), "http://s:1080/");
        assert_eq!(chosen(&[("ALL_PROXY", "socks5://s"), https], server).unwrap(), "http://p:1/");
        for loopback in ["https://localhost:6443", "https://127.8.9.1:6443", "https://[::1]:6443"] {
            assert_eq!(chosen(&[https], loopback), None, "{loopback}");
        }
    }

    #[test]
    fn no_proxy_names_hosts_ranges_and_ports() {
        let https = ("HTTPS_PROXY", "http://p:1");
        let table = [
            ("*", "https://api.test", true),
            ("api.test", "https://api.test:6443", true),
            ("api.test", "https://a.api.test", true),
            ("api.test", "https://anapi.test", false),
            (".test", "https://api.test", true),
            (".api.test", "https://api.test", false),
            ("*.api.test", "https://a.api.test", true),
            ("*.api.test", "https://api.test", false),
            ("API.Test", "https://api.TEST", true),
            (" x , api.test ,", "https://api.test", true),
            ("api.test:6443", "https://api.test:6443", true),
            ("api.test:6443", "https://api.test", false),
            ("api.test:443", "https://api.test", true),
            ("api.test:what", "https://api.test", false),
            ("10.0.0.0/8", "https://10.1.2.3:6443", true),
            ("10.0.0.0/8", "https://11.1.2.3:6443", false),
            ("10.1.2.3", "https://10.1.2.3:6443", true),
            ("10.1.2.3:6443", "https://10.1.2.3:6443", true),
            ("10.1.2.3:443", "https://10.1.2.3:6443", false),
            ("fd00::/8", "https://[fd00::1]:6443", true),
            ("fd00::1", "https://[fd00::1]:6443", true),
            ("[fd00::1]:6443", "https://[fd00::1]:6443", true),
            ("[fd00::1]:1", "https://[fd00::1]:6443", false),
            ("10.0.0.0/8", "https://api.test", false),
            ("", "https://api.test", false),
            (",,", "https://api.test", false),
        ];
        for (no_proxy, server, is_direct) in table {
            let chosen = chosen(&[https, ("NO_PROXY", no_proxy)], server);
            assert_eq!(chosen.is_none(), is_direct, "NO_PROXY={no_proxy} {server}");
        }
    }

    #[test]
    fn a_proxy_is_shown_without_its_password() {
        let proxy = Proxy::read("socks5h://us%40er:p%3Aw@[fd00::1]:99", "ALL_PROXY").unwrap();
        assert_eq!(proxy.kind, ProxyKind::Socks5);
        assert_eq!(proxy.credentials, Some(("us@er".to_owned(), "p:w".to_owned())));
        assert_eq!(proxy.described(), "the proxy of ALL_PROXY, [fd00::1]:99");
        for unusable in ["ftp://hunter2@p", "http://", "http://u:hunter2@", "http://[hunter2"] {
            let failure = Proxy::read(unusable, "HTTPS_PROXY").unwrap_err();
            assert!(!format!("{failure:?}").contains("hunter2"), "{failure:?}");
            assert!(failure.what.contains("HTTPS_PROXY"));
        }
    }

    #[test]
    fn anything_may_stand_in_the_variables_of_proxies() {
        let seeds = ["http://user:pass@proxy.test:3128", "10.0.0.0/8,.test:443,[::1]:6443,*", "socks5h://p"];
        let server: Uri = "https://api.test:6443".parse().unwrap();
        bootstrapper_core::fuzzing::texts(&seeds, |text| {
            let variables = ProxyVariables::of(|_| Some(text.to_owned()));
            drop(variables.proxy_for(&server));
        });
    }
}
