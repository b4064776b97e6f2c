//! Access to a chart registry or repository that requires credentials or other settings.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::registry::docker_login;
use bootstrapper_core::failure::{Failure, Result};

/// Whether a chart is what its publisher signed.
#[derive(Debug, Clone)]
pub enum Signature {
    /// It must be signed with one of these keys.
    Required(SigningKeys),
    /// Flux verifies it and the bootstrap cannot; and why.
    Unchecked(String),
}

/// Public keys.
#[derive(Debug, Clone)]
pub struct SigningKeys {
    /// The Secret that holds them.
    pub secret: String,
    /// PEM, each.
    pub keys: Vec<SecretString>,
}

/// Access to a chart registry or repository.
#[derive(Debug, Clone, Default)]
pub struct ChartAccess {
    /// Why nothing can be fetched.
    pub refusal: Option<Failure>,
    /// Without TLS.
    pub plain_http: bool,
    /// A user and a password.
    pub user: Option<(SecretString, SecretString)>,
    /// The configuration of a Docker client, with credentials for registries.
    pub docker_config: Option<SecretString>,
    /// PEM: the CA of the server's certificate.
    pub authority: Option<SecretString>,
    /// PEM: the client certificate, and its key.
    pub identity: Option<(SecretString, SecretString)>,
    /// Whether the credentials are also sent to other hosts that the index references.
    pub pass_credentials: bool,
    /// The proxy, with its credentials.
    pub proxy: Option<SecretString>,
    /// Whether its source is an OCIRepository: Flux then compares its tag with the chart's own version.
    pub is_artifact: bool,
    /// Who must have signed the chart; none if anybody may have made it.
    pub signature: Option<Signature>,
}

impl ChartAccess {
    /// Environment variables for programs that connect to it.
    pub(super) fn variables(&self) -> Vec<(&'static str, OsString)> {
        let proxy = self.proxy.iter().map(|proxy| OsString::from(proxy.expose_secret()));
        proxy.flat_map(|proxy| [("HTTPS_PROXY", proxy.clone()), ("HTTP_PROXY", proxy)]).collect()
    }

    /// The credentials of a registry, as Basic authentication has them: those of the source, or else this
    /// user's login with Helm.
    pub(super) fn authorization(&self, host: &str) -> Option<String> {
        if let Some((user, password)) = &self.user {
            return Some(STANDARD.encode(format!("{}:{}", user.expose_secret(), password.expose_secret())));
        }
        if let Some(config) = &self.docker_config {
            return docker_login(config.expose_secret(), host);
        }
        let variable =
            |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let config =
            variable("XDG_CONFIG_HOME").or_else(|| variable("HOME").map(|home| home.join(".config")));
        let file = variable("HELM_REGISTRY_CONFIG")
            .or_else(|| config.map(|folder| folder.join("helm/registry/config.json")))?;
        docker_login(&fs::read_to_string(file).ok()?, host)
    }

    /// Helm's options for a registry; files are created in `folder`, which is private.
    pub(super) fn of_registry(&self, url: &str, folder: &Path) -> Result<Vec<OsString>> {
        let mut arguments: Vec<OsString> = Vec::new();
        if self.plain_http {
            arguments.push("--plain-http".into());
        }
        let host = url.trim_start_matches("oci://").split('/').next().unwrap_or_default();
        let of_user = self.user.as_ref().map(|(user, password)| {
            let both = format!("{}:{}", user.expose_secret(), password.expose_secret());
            json!({"auths": {host: {"auth": STANDARD.encode(both)}}}).to_string()
        });
        let config = of_user.or_else(|| Some(self.docker_config.as_ref()?.expose_secret().to_owned()));
        if let Some(config) = config {
            arguments.extend(["--registry-config".into(), written(folder, "registry.json", &config)?]);
        }
        for (flag, file) in self.tls(folder)? {
            arguments.extend([flag.into(), file]);
        }
        Ok(arguments)
    }

    /// A repository configuration with this repository as `repository`.
    pub(super) fn of_repository(&self, url: &str, folder: &Path) -> Result<OsString> {
        let file = |wanted: &str| -> Result<Option<String>> {
            let found = self.tls(folder)?.into_iter().find(|(flag, _)| *flag == wanted);
            Ok(found.map(|(_, file)| file.to_string_lossy().into_owned()))
        };
        let user = self.user.as_ref();
        let entry = json!({
            "name": "repository", "url": url,
            "username": user.map(|(user, _)| user.expose_secret()),
            "password": user.map(|(_, password)| password.expose_secret()),
            "caFile": file("--ca-file")?, "certFile": file("--cert-file")?, "keyFile": file("--key-file")?,
            "pass_credentials_all": self.pass_credentials,
        });
        let config = json!({"apiVersion": "", "repositories": [entry]});
        written(folder, "repositories.yaml", &config.to_string())
    }

    fn tls(&self, folder: &Path) -> Result<Vec<(&'static str, OsString)>> {
        let mut files = Vec::new();
        if let Some(authority) = &self.authority {
            files.push(("--ca-file", written(folder, "ca.crt", authority.expose_secret())?));
        }
        if let Some((certificate, key)) = &self.identity {
            files.push(("--cert-file", written(folder, "tls.crt", certificate.expose_secret())?));
            files.push(("--key-file", written(folder, "tls.key", key.expose_secret())?));
        }
        Ok(files)
    }
}

fn written(folder: &Path, name: &str, content: &str) -> Result<OsString> {
    let path = folder.join(name);
    fs::write(&path, content)
        .map_err(|error| Failure::step("cannot pass credentials to helm").caused_by(&error))?;
    Ok(path.into())
}
