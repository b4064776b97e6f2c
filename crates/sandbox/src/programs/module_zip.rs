//! Go modules as zips of the module proxy, which are compared with their known hashes: no Go is needed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Component, Path};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::download::{Missed, save, wrong};
use super::progress::Meter;
use super::zip::{Entry, entries};
use bootstrapper_core::digest::sha256;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::masking;
use bootstrapper_tools::{Environment, open_download};

/// Go permits no larger zip.
const LARGEST: u64 = 500 * 1024 * 1024;

/// A version of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Module {
    /// `path@version`.
    pub(super) name: &'static str,
    /// Its hash, as in go.sum.
    pub(super) hash: &'static str,
}

/// Downloads a module, and writes some of its files and folders into `folder`.
pub(super) async fn fetch(
    module: Module,
    parts: &[&str],
    folder: &Path,
    file: &Path,
    environment: &Environment,
    meter: &Meter<'_>,
) -> Result<(), Missed> {
    let proxies = std::env::var("GOPROXY").unwrap_or_default();
    let mut last = Failure::step(format!("cannot download module {}", module.name))
        .because(format!("GOPROXY={proxies} names no https:// proxy"));
    for proxy in addresses(&proxies) {
        match from(&proxy, module, file, environment, meter).await {
            Ok(()) => {
                let zip = std::fs::read(file).map_err(|error| {
                    Failure::step(format!("cannot read {}", file.display())).caused_by(&error)
                })?;
                let (parts, folder): (Vec<String>, _) =
                    (parts.iter().map(|part| (*part).to_owned()).collect(), folder.to_owned());
                let unpacked = tokio::task::spawn_blocking(move || unpack(&zip, module, &parts, &folder));
                return unpacked
                    .await
                    .map_err(|error| Failure::internal("a module was not unpacked").caused_by(&error))?
                    .map_err(|failure| wrong(failure.because(format!("downloaded from {}", shown(&proxy)))));
            }
            Err(Missed::Unavailable(failure)) => last = failure,
            Err(wrong) => return Err(wrong),
        }
    }
    Err(Missed::Unavailable(last))
}

async fn from(
    proxy: &Url,
    module: Module,
    file: &Path,
    environment: &Environment,
    meter: &Meter<'_>,
) -> Result<(), Missed> {
    let login = login(proxy);
    let url = zip_url(proxy, module.name);
    let open = async || {
        let download = open_download(&url, login.as_ref(), environment).await?;
        download.size().into_iter().for_each(|size| meter.expects(size));
        Ok(download)
    };
    save(open, file, LARGEST, Some(meter)).await.map(drop)
}

/// The proxies that `GOPROXY` names, as far as they use TLS: no Go is needed for these.
fn addresses(list: &str) -> Vec<Url> {
    let list = if list.trim().is_empty() { "https://proxy.golang.org" } else { list };
    let names = list.split([',', '|']).map(str::trim).take_while(|name| *name != "off");
    names.filter_map(|name| Url::parse(name).ok()).filter(|url| url.scheme() == "https").collect()
}

/// A proxy's address without credentials.
fn shown(proxy: &Url) -> String {
    let mut proxy = proxy.clone();
    let _ = proxy.set_username("");
    let _ = proxy.set_password(None);
    proxy.to_string()
}

fn login(proxy: &Url) -> Option<SecretString> {
    let password = proxy.password()?;
    masking::mark(password);
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let both = format!("{}:{}", decoded(proxy.username()), decoded(password));
    Some(format!("Basic {}", STANDARD.encode(both)).into())
}

fn zip_url(proxy: &Url, module: &str) -> String {
    let (path, version) = module.split_once('@').unwrap_or((module, ""));
    // Some file systems do not distinguish capital letters.
    let escape = |text: &str| {
        text.chars().fold(String::new(), |mut escaped, one| {
            if one.is_ascii_uppercase() {
                escaped.push('!');
            }
            escaped.push(one.to_ascii_lowercase());
            escaped
        })
    };
    format!("{}/{}/@v/{}.zip", shown(proxy).trim_end_matches('/'), escape(path), escape(version))
}

/// Checks the hash, and writes the parts.
fn unpack(zip: &[u8], module: Module, parts: &[String], folder: &Path) -> Result<()> {
    let failed = || Failure::step(format!("cannot use module {}", module.name));
    let entries = entries(zip).map_err(|error| failed().caused_by(&error))?;
    let hash = hash(&entries).map_err(|error| failed().caused_by(&error))?;
    if hash != module.hash {
        return Err(failed()
            .because("it is not the known one")
            .because(format!("known hash:             {}", module.hash))
            .because(format!("hash of the downloaded: {hash}")));
    }
    let root = format!("{}/", module.name);
    let mut missing: BTreeSet<&str> = parts.iter().map(String::as_str).collect();
    for entry in &entries {
        let Some(within) = entry.name.strip_prefix(&root) else { continue };
        let Some(part) = parts.iter().find(|part| Path::new(within).starts_with(part)) else { continue };
        if !Path::new(within).components().all(|one| matches!(one, Component::Normal(_))) {
            return Err(failed().because(format!("`{within}` is not a file of the module")));
        }
        missing.remove(part.as_str());
        let file = folder.join(within);
        std::fs::create_dir_all(file.parent().unwrap_or(folder))
            .and_then(|()| std::fs::write(&file, entry.read()?))
            .map_err(|error| failed().caused_by(&error))?;
    }
    match missing.first() {
        Some(part) => Err(failed().because(format!("it has no {part}"))),
        None => Ok(()),
    }
}

/// As Go's `dirhash.Hash1`: of the list of the files' digests.
fn hash(entries: &[Entry<'_>]) -> std::io::Result<String> {
    let mut sorted: Vec<&Entry<'_>> = entries.iter().collect();
    sorted.sort_by_key(|entry| entry.name);
    let mut list = String::new();
    for entry in sorted {
        let _ = writeln!(list, "{}  {}", sha256(entry.read()?), entry.name);
    }
    Ok(format!("h1:{}", STANDARD.encode(Sha256::digest(list))))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::super::zip::tests::zip_of;
    use super::*;

    // By `sha256sum` of both files in the order of their names, and again of that list.
    const HASH: &str = "h1:5V3XblIqfCbpMcjGyOFcPgSLtjEnhissN/hvJpa0PrQ=";

    fn zip() -> Vec<u8> {
        zip_of(&[
            ("a.test/M@v1.0.0/go.mod", "module a.test/M\n"),
            ("a.test/M@v1.0.0/crd/x.yaml", "kind: X\n"),
        ])
    }

    #[test]
    fn the_hash_is_that_of_go() {
        let module = Module { name: "a.test/M@v1.0.0", hash: HASH };
        let folder = tempfile::tempdir().unwrap();
        unpack(&zip(), module, &["crd".to_owned()], folder.path()).unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("crd/x.yaml")).unwrap(), "kind: X\n");
        assert!(!folder.path().join("go.mod").exists());
        let failure = unpack(&zip(), Module { hash: "h1:other", ..module }, &[], folder.path()).unwrap_err();
        assert!(failure.because.concat().contains(HASH), "{failure:?}");
        let failure = unpack(&zip(), module, &["charts".to_owned()], folder.path()).unwrap_err();
        assert_eq!(failure.because, ["it has no charts"]);
    }

    #[test]
    fn the_address_is_that_of_the_proxy_protocol() {
        let all = |list: &str| -> Vec<String> { addresses(list).iter().map(Url::to_string).collect() };
        assert_eq!(all(""), ["https://proxy.golang.org/"]);
        assert_eq!(
            all("https://a.test/x|http://b.test,file:///c,direct,https://d.test,off,https://e.test"),
            ["https://a.test/x", "https://d.test/"]
        );
        assert_eq!(all("off"), Vec::<String>::new());
        let proxy = Url::parse("https://us%40er:hunter+2@a.test/x/").unwrap();
        assert_eq!(
            zip_url(&proxy, "github.com/VictoriaMetrics/operator@v0.74.1"),
            "https://a.test/x/github.com/!victoria!metrics/operator/@v/v0.74.1.zip"
        );
        let expected = format!("Basic {}", STANDARD.encode("us@er:hunter+2"));
        assert_eq!(login(&proxy).unwrap().expose_secret(), expected);
        assert!(login(&Url::parse("https://a.test").unwrap()).is_none());
    }
}
