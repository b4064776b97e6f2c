//! The credentials of a user entry, validated before use. Every error has the context, the user entry and the
//! field, never the value.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::exec_plugin::Plugin;
use super::kubeconfig::{Entry, bounded};
use bootstrapper_core::failure::{Failure, FailureKind, Result};
use bootstrapper_core::masking;

/// How often a token file is read again, and how long before its expiry a token is renewed.
const FRESH: Duration = Duration::from_mins(1);

/// The source of the authorization header.
#[derive(Clone)]
pub(super) struct Credentials(Arc<Source>);

enum Source {
    None,
    Fixed(HeaderValue),
    File { file: PathBuf, whose: String, read: Mutex<(HeaderValue, Instant)> },
    Plugin { plugin: Box<Plugin>, given: Mutex<(HeaderValue, Option<Timestamp>)> },
}

impl Credentials {
    /// Takes the credentials from an entry, except certificates, which belong to the connection. A plugin
    /// does not get the variables `withheld`.
    pub(super) async fn taken_from(entry: &mut Entry, withheld: &BTreeSet<String>) -> Result<Self> {
        check_server(entry)?;
        check_impersonation(entry)?;
        let source = source(entry, withheld).await?;
        check_certificates(entry).await?;
        let user = &mut entry.user;
        (user.username, user.password, user.token, user.token_file) = (None, None, None, None);
        (user.auth_provider, user.exec) = (None, None);
        Ok(Self(Arc::new(source)))
    }

    /// No credentials.
    #[cfg(any(test, feature = "mock"))]
    pub(super) fn none() -> Self {
        Self(Arc::new(Source::None))
    }

    /// Adds the authorization header to a request.
    pub(super) async fn show<B>(&self, mut request: Request<B>) -> Result<Request<B>> {
        if let Some(header) = self.header().await? {
            request.headers_mut().insert(AUTHORIZATION, header);
        }
        Ok(request)
    }

    async fn header(&self) -> Result<Option<HeaderValue>> {
        match &*self.0 {
            Source::None => Ok(None),
            Source::Fixed(header) => Ok(Some(header.clone())),
            Source::File { file, whose, read } => {
                let mut read = read.lock().await;
                if read.1.elapsed() >= FRESH {
                    // A missing or incomplete file is read again later.
                    if let Ok(header) = of_file(file, whose).await {
                        read.0 = header;
                    }
                    read.1 = Instant::now();
                }
                Ok(Some(read.0.clone()))
            }
            Source::Plugin { plugin, given } => {
                let mut given = given.lock().await;
                let ends = |until: Timestamp| Timestamp::now() + FRESH >= until;
                if given.1.is_some_and(ends) {
                    let new = plugin.ask().await?;
                    let token = new.token.ok_or_else(|| plugin.failure("returned no token"))?;
                    *given = (
                        bearer(&token)
                            .map_err(|why| plugin.failure(format!("returned a token that {why}")))?,
                        new.until,
                    );
                }
                Ok(Some(given.0.clone()))
            }
        }
    }
}

async fn source(entry: &mut Entry, withheld: &BTreeSet<String>) -> Result<Source> {
    let wrong = |entry: &Entry, field: &str, why: &str| entry.wrong_user(field, why);
    if let Some(provider) = &entry.user.auth_provider {
        // kubectl has removed the others, too.
        let token = provider.config.get("id-token").filter(|_| provider.name == "oidc").cloned();
        let Some(token) = token else {
            let why = format!("`{}` is not supported", provider.name);
            return Err(wrong(entry, "auth-provider", &why).hint("use a plugin (`exec`) instead"));
        };
        let field = "auth-provider.config.id-token";
        return bearer(&token.into()).map(Source::Fixed).map_err(|why| wrong(entry, field, why));
    }
    if let (Some(user), Some(password)) = (&entry.user.username, &entry.user.password) {
        let pair = STANDARD.encode(format!("{user}:{}", password.expose_secret()));
        let header = header(&format!("Basic {pair}"));
        return header.map(Source::Fixed).map_err(|why| wrong(entry, "password", why));
    }
    if let Some(token) = &entry.user.token {
        return bearer(token).map(Source::Fixed).map_err(|why| wrong(entry, "token", why));
    }
    if let Some(file) = entry.user.token_file.clone().map(PathBuf::from) {
        let whose = format!(
            "no credentials for context `{}`: `tokenFile` of user `{}`",
            entry.context, entry.user_name
        );
        let read = Mutex::new((of_file(&file, &whose).await?, Instant::now()));
        return Ok(Source::File { file, whose, read });
    }
    let Some(plugin) = Plugin::of(entry, withheld)? else { return Ok(Source::None) };
    let given = plugin.ask().await?;
    if given.identity.as_ref().is_some_and(|(certificate, key)| {
        certificates(certificate.as_bytes()).is_err() || !is_key(key.expose_secret().as_bytes())
    }) {
        return Err(plugin.failure("returned an invalid certificate or key"));
    }
    given.identify(&mut entry.user);
    let Some(token) = &given.token else { return Ok(Source::None) };
    let header = bearer(token).map_err(|why| plugin.failure(format!("returned a token that {why}")))?;
    Ok(Source::Plugin { plugin: Box::new(plugin), given: Mutex::new((header, given.until)) })
}

async fn of_file(file: &std::path::Path, whose: &str) -> Result<HeaderValue> {
    let unusable =
        |why: String| Failure::new(FailureKind::Connection, format!("{whose} cannot be used")).because(why);
    let bytes =
        bounded(file).await.map_err(|error| unusable(format!("cannot read {}: {error}", file.display())))?;
    let text = String::from_utf8_lossy(&bytes);
    // Files end with a line break, which is not part of the token, as in kubectl.
    match text.trim() {
        "" => Err(unusable(format!("{} is empty", file.display()))),
        token => bearer(&token.to_owned().into())
            .map_err(|why| unusable(format!("the token in {} {why}", file.display()))),
    }
}

fn bearer(token: &SecretString) -> Result<HeaderValue, &'static str> {
    masking::mark(token.expose_secret());
    header(&format!("Bearer {}", token.expose_secret()))
}

/// A header, or why the value is invalid.
fn header(value: &str) -> Result<HeaderValue, &'static str> {
    let mut header = HeaderValue::from_str(value).map_err(|_| unfit(value))?;
    header.set_sensitive(true);
    Ok(header)
}

fn unfit(value: &str) -> &'static str {
    if value.ends_with(['\n', '\r']) {
        "ends with a line break, which is not allowed in an HTTP header (YAML's `|` keeps it, `>-` and quotes do not)"
    } else if value.contains(['\n', '\r']) {
        "contains a line break, which is not allowed in an HTTP header"
    } else {
        "contains a control character, which is not allowed in an HTTP header"
    }
}

fn check_server(entry: &Entry) -> Result<()> {
    let Some(server) = entry.cluster.server.as_deref().filter(|server| !server.is_empty()) else {
        return Err(entry.wrong_cluster("server", "is missing"));
    };
    let uri: Option<http::Uri> = server.parse().ok();
    let is_one =
        uri.is_some_and(|uri| matches!(uri.scheme_str(), Some("https" | "http")) && uri.host().is_some());
    if !is_one {
        return Err(entry.wrong_cluster("server", "is not a URL such as https://host:6443"));
    }
    match &entry.cluster.tls_server_name {
        Some(name) if ServerName::try_from(name.clone()).is_err() => {
            Err(entry.wrong_cluster("tls-server-name", "is not a server name"))
        }
        _ => Ok(()),
    }
}

/// kubectl sends them as headers, too.
fn check_impersonation(entry: &Entry) -> Result<()> {
    let user = &entry.user;
    let of = |field: &'static str, value: &String| (field.to_owned(), value.clone());
    let mut fields: Vec<(String, String)> = Vec::new();
    fields.extend(user.impersonate.iter().map(|value| of("as", value)));
    fields.extend(user.impersonate_uid.iter().map(|value| of("as-uid", value)));
    fields.extend(user.impersonate_groups.iter().flatten().map(|value| of("as-groups", value)));
    let extra = user.impersonate_user_extra.iter().flatten();
    fields.extend(extra.flat_map(|(key, values)| {
        values.iter().map(move |value| (format!("as-user-extra.{}", key.escape_debug()), value.clone()))
    }));
    match fields.into_iter().find_map(|(field, value)| header(&value).err().map(|why| (field, why))) {
        Some((field, why)) => Err(entry.wrong_user(&field, why)),
        None => Ok(()),
    }
}

async fn check_certificates(entry: &mut Entry) -> Result<()> {
    let cluster = &entry.cluster;
    let field = if cluster.certificate_authority_data.is_some() {
        "certificate-authority-data"
    } else {
        "certificate-authority"
    };
    let read =
        decoded(cluster.certificate_authority_data.as_deref(), cluster.certificate_authority.as_deref())
            .await;
    if let Some(pem) = read.map_err(|why| entry.wrong_cluster(field, &why))? {
        let certificates = certificates(&pem).map_err(|why| entry.wrong_cluster(field, why))?;
        let mut roots = RootCertStore::empty();
        if certificates.into_iter().any(|certificate| roots.add(certificate).is_err()) {
            return Err(entry.wrong_cluster(field, "contains an invalid certificate"));
        }
        entry.cluster.certificate_authority_data = Some(STANDARD.encode(&pem));
    } else {
        entry.cluster.certificate_authority_data = None;
    }
    entry.cluster.certificate_authority = None;

    let user = &entry.user;
    let field =
        if user.client_certificate_data.is_some() { "client-certificate-data" } else { "client-certificate" };
    let read = decoded(user.client_certificate_data.as_deref(), user.client_certificate.as_deref()).await;
    let certificate = read.map_err(|why| entry.wrong_user(field, &why))?;
    if let Some(pem) = &certificate {
        certificates(pem).map_err(|why| entry.wrong_user(field, why))?;
    }
    let key_field = if user.client_key_data.is_some() { "client-key-data" } else { "client-key" };
    let data = user.client_key_data.as_ref().map(secrecy::ExposeSecret::expose_secret);
    let key =
        decoded(data, user.client_key.as_deref()).await.map_err(|why| entry.wrong_user(key_field, &why))?;
    if key.as_deref().is_some_and(|pem| !is_key(pem)) {
        return Err(entry.wrong_user(key_field, "contains no valid private key"));
    }
    match (&certificate, &key) {
        (Some(_), None) => return Err(entry.wrong_user(field, "has no matching `client-key`")),
        (None, Some(_)) => return Err(entry.wrong_user(key_field, "has no matching `client-certificate`")),
        _ => {}
    }
    (entry.user.client_certificate, entry.user.client_key) = (None, None);
    entry.user.client_certificate_data = certificate.map(|pem| STANDARD.encode(pem));
    entry.user.client_key_data = key.map(|pem| SecretString::from(STANDARD.encode(pem)));
    Ok(())
}

fn is_key(pem: &[u8]) -> bool {
    PrivateKeyDer::from_pem_slice(pem).is_ok_and(|key| any_supported_type(&key).is_ok())
}

/// The base64 content of a field, otherwise the file in another field.
async fn decoded(data: Option<&str>, file: Option<&str>) -> Result<Option<Vec<u8>>, String> {
    if let Some(data) = data.filter(|data| !data.is_empty()) {
        // Line breaks within base64 are ignored in a kubeconfig.
        let data: String = data.chars().filter(|one| !one.is_ascii_whitespace()).collect();
        return STANDARD.decode(data).map(Some).map_err(|_| "is not Base64".to_owned());
    }
    match file.filter(|file| !file.is_empty()) {
        None => Ok(None),
        Some(file) => {
            let read = bounded(std::path::Path::new(file)).await;
            read.map(Some).map_err(|error| format!("references {file}, which cannot be read: {error}"))
        }
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err("contains no PEM certificate"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ConnectOptions;
    use super::super::kubeconfig::entry;
    use super::*;

    async fn taken(user: &str) -> Result<Credentials> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kubeconfig");
        std::fs::write(folder.path().join("token"), "from-a-file\n").unwrap();
        std::fs::write(folder.path().join("broken"), "hunter2\nhunter2").unwrap();
        std::fs::write(folder.path().join("empty"), " \n").unwrap();
        let text = format!(
            "clusters: [{{name: k, cluster: {{server: 'https://api.test'}}}}]\ncontexts: [{{name: c, context: {{cluster: k, user: alice}}}}]\nusers:\n- name: alice\n  user: {user}\n"
        );
        std::fs::write(&file, text).unwrap();
        let mut entry = entry(&ConnectOptions { kubeconfig: Some(file), context: "c".into() }).await?;
        Credentials::taken_from(&mut entry, &BTreeSet::new()).await
    }

    async fn shown(user: &str) -> Option<String> {
        let header = taken(user).await.unwrap().header().await.unwrap()?;
        assert!(header.is_sensitive());
        Some(header.to_str().unwrap().to_owned())
    }

    #[tokio::test]
    async fn credentials_are_shown_as_kubectl_shows_them() {
        assert_eq!(shown("{}").await, None);
        assert_eq!(shown("{token: t}").await.unwrap(), "Bearer t");
        assert_eq!(shown("{tokenFile: token}").await.unwrap(), "Bearer from-a-file");
        assert_eq!(shown("{username: a, password: \"b\\n\"}").await.unwrap(), "Basic YTpiCg==");
        assert_eq!(shown("{auth-provider: {name: oidc, config: {id-token: i}}}").await.unwrap(), "Bearer i");
        let plugin = |says: &str| {
            format!(
                "{{exec: {{command: sh, args: ['-c', 'printf %s \"$SAYS\"'], env: [{{name: SAYS, value: '{says}'}}]}}}}"
            )
        };
        assert_eq!(shown(&plugin(r#"{"status": {"token": "p"}}"#)).await.unwrap(), "Bearer p");
    }

    #[tokio::test]
    async fn what_cannot_be_used_is_named_by_context_user_and_field_and_never_shown() {
        let plugin = |says: &str| format!("{{exec: {{command: sh, args: ['-c', '{says}']}}}}");
        let table = [
            ("{token: \"hunter2\\n\"}".to_owned(), "`token` of user `alice` ends with a line break"),
            ("{token: \"hunter2\\nx\"}".to_owned(), "`token` of user `alice` contains a line break"),
            ("{token: \"hunter2\\0\"}".to_owned(), "`token` of user `alice` contains a control character"),
            ("{tokenFile: broken}".to_owned(), "the token in"),
            ("{tokenFile: empty}".to_owned(), "is empty"),
            ("{tokenFile: absent}".to_owned(), "cannot read"),
            ("{as: \"hunter2\\n\"}".to_owned(), "`as` of user `alice`"),
            ("{as: a, as-groups: [\"hunter2\\n\"]}".to_owned(), "`as-groups` of user `alice`"),
            ("{as: a, as-uid: \"hunter2\\n\"}".to_owned(), "`as-uid` of user `alice`"),
            ("{as: a, as-user-extra: {x: [\"hunter2\\n\"]}}".to_owned(), "`as-user-extra.x` of user `alice`"),
            ("{client-key-data: hunter2}".to_owned(), "`client-key-data` of user `alice` is not Base64"),
            (
                "{client-certificate-data: aHVudGVyMg==}".to_owned(),
                "`client-certificate-data` of user `alice` contains no PEM certificate",
            ),
            (
                "{client-key-data: aHVudGVyMg==}".to_owned(),
                "`client-key-data` of user `alice` contains no valid private key",
            ),
            (
                "{auth-provider: {name: oidc, config: {id-token: \"hunter2\\n\"}}}".to_owned(),
                "auth-provider.config.id-token",
            ),
            ("{auth-provider: {name: gcp, config: {access-token: hunter2}}}".to_owned(), "not supported"),
            ("{exec: {command: no-such-program-hunter}}".to_owned(), "cannot start"),
            (plugin("echo hunter2; echo hunter2 >&2; exit 3"), "plugin `sh` of user `alice` failed"),
            (plugin("echo hunter2"), "did not return an ExecCredential"),
            (
                plugin("echo {status: {token: hunter2, expirationTimestamp: hunter2}}"),
                "invalid expirationTimestamp",
            ),
            (plugin("echo {status: {}}"), "neither a token"),
            (plugin("echo {}"), "without a status"),
            (
                plugin(r#"printf "{\"status\": {\"token\": \"hunter2\\\\n\"}}""#),
                "returned a token that ends with a line break",
            ),
            (
                plugin("echo {status: {clientCertificateData: hunter2, clientKeyData: hunter2}}"),
                "returned an invalid certificate or key",
            ),
            (plugin("yes hunter2"), "writes too much output"),
        ];
        for (user, said) in table {
            let Err(failure) = taken(&user).await else { panic!("{user}") };
            let all = format!("{failure:?}");
            assert!(all.contains(said) && all.contains("context `c`"), "{user}: {all}");
            assert!(!all.contains("hunter2"), "{user}: {all}");
            assert_eq!(failure.kind, FailureKind::Connection);
        }
    }

    #[tokio::test]
    async fn a_plugin_that_never_ends_is_ended_with_all_it_began() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let user = format!(
            "{{exec: {{command: sh, args: ['-c', 'sleep 1000 & echo $! > {}; wait']}}}}",
            file.display()
        );
        let Err(failure) = taken(&user).await else { panic!("it ended") };
        assert!(
            failure.to_string().contains("plugin `sh` of user `alice` did not finish within 8 s"),
            "{failure}"
        );
        let pid: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        // The new parent may take a moment to reap it.
        let stat = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        while !stat().is_empty() && !stat().contains(") Z ") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[test]
    fn anything_may_stand_in_a_kubeconfig() {
        let seed = "{apiVersion: v1, kind: Config, clusters: [{name: a, cluster: {server: 'https://127.0.0.1:6443', certificate-authority-data: YQ==}}], \
                    users: [{name: u, user: {token: t, client-key-data: YQ==}}], contexts: [{name: c, context: {cluster: a, user: u}}], current-context: c}";
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        bootstrapper_core::fuzzing::texts(&[seed], |text| {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("kubeconfig");
            std::fs::write(&file, text).unwrap();
            let options = ConnectOptions { kubeconfig: Some(file), context: "c".into() };
            drop(runtime.block_on(super::super::connect::prepared(&options, &BTreeSet::new())));
        });
    }
}
