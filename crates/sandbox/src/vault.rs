//! Simulates the vault of the declared secrets, for the simulated external-secrets and 1Password's program. It
//! stores no values: each is derived from its key and from a seed that only the sandboxes' owner can read, so
//! that the clusters of a mesh get the same values, and nobody else can compute them.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose, SerialNumber};
use rustls::pki_types::PrivatePkcs8KeyDer;
use sha2::{Digest as _, Sha256};

use super::state::{Folder, write_private};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_tools::loopback;

/// The file with the keeper, if not the usual one: it changes all values.
const KEEPER_FILE: &str = "vault-keeper";

/// The seed shared by all sandboxes in a state folder. It is stored next to them, and survives them.
const WORD_FILE: &str = "vault";

/// A vault.
pub(super) struct Vault {
    word: String,
    keeper: String,
}

impl Vault {
    /// The vault of a sandbox.
    pub(super) fn of(folder: &Folder) -> Result<Self> {
        let file = word_file(folder);
        let word = std::fs::read_to_string(&file).map_err(|error| {
            Failure::step(format!("cannot open the sandbox's vault with {}", file.display()))
                .caused_by(&error)
        })?;
        Ok(Self { word, keeper: std::fs::read_to_string(folder.path(KEEPER_FILE)).unwrap_or_default() })
    }

    /// Creates the shared seed, if there is none. Atomic: another sandbox may create it at the same time.
    pub(super) fn found(folder: &Folder) -> Result<()> {
        let file = word_file(folder);
        let failed = |error: std::io::Error| {
            Failure::step(format!("cannot write {}", file.display())).caused_by(&error)
        };
        if file.exists() {
            return Ok(());
        }
        let beside = folder.path(WORD_FILE);
        write_private(&beside, loopback::token()?).map_err(failed)?;
        let linked = std::fs::hard_link(&beside, &file);
        std::fs::remove_file(&beside).map_err(failed)?;
        match linked {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(failed(error)),
            _ => Ok(()),
        }
    }

    /// Switches a sandbox's vault to another keeper, with other values; or back to the usual one if none.
    pub(super) fn keep(folder: &Folder, keeper: Option<&str>) -> Result<()> {
        let path = folder.path(KEEPER_FILE);
        let kept = match keeper {
            Some(keeper) => write_private(&path, keeper),
            None if path.exists() => std::fs::remove_file(&path),
            None => Ok(()),
        };
        kept.map_err(|error| Failure::step(format!("cannot change {}", path.display())).caused_by(&error))
    }

    /// Whether it has another keeper.
    pub(super) fn is_kept_by_another(folder: &Folder) -> bool {
        folder.path(KEEPER_FILE).exists()
    }

    /// The value of a key, `item/field`. An item's `certificate` and `key` are those of a CA; all others are
    /// generated.
    pub(super) fn value(&self, key: &str) -> Result<String> {
        let path = Path::new(key);
        let item = path.parent().unwrap_or(Path::new("")).to_string_lossy();
        match path.file_name().and_then(|field| field.to_str()) {
            Some("certificate") => self.authority(&item).map(|authority| authority.certificate),
            Some("key") => self.authority(&item).map(|authority| authority.key),
            _ => Ok(bootstrapper_core::digest::short_sha256(
                format!("{} {} {key}", self.word, self.keeper),
                24,
            )),
        }
    }

    fn authority(&self, item: &str) -> Result<Authority> {
        let failed = |error: rcgen::Error| {
            Failure::step(format!("CA {item} not found in the sandbox's vault")).caused_by(&error)
        };
        let seed = Sha256::digest(format!("{} {} {item}", self.word, self.keeper));
        let key = [ED25519.as_slice(), seed.as_slice()].concat();
        let key = KeyPair::try_from(&PrivatePkcs8KeyDer::from(key)).map_err(failed)?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, item);
        params.serial_number = Some(SerialNumber::from(1));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(failed)?.pem();
        Ok(Authority { certificate, key: key.serialize_pem() })
    }
}

/// Answers like 1Password's program, from the vault of the sandbox in `folder`: the value of the
/// `op://vault/item/field` in `words`.
pub(super) fn answer(folder: &Path, words: &[String]) -> Result<String> {
    let key = words
        .iter()
        .find_map(|word| word.strip_prefix("op://"))
        .and_then(|reference| reference.split_once('/'))
        .map(|(_, key)| key)
        .ok_or_else(|| Failure::input("a sandbox's vault supports only `read op://vault/item/field`"))?;
    Vault::of(&Folder(folder.to_owned()))?.value(key)
}

fn word_file(folder: &Folder) -> PathBuf {
    let sandboxes = folder.0.parent().unwrap_or(&folder.0);
    sandboxes.parent().unwrap_or(sandboxes).join(WORD_FILE)
}

/// A CA, as PEM.
struct Authority {
    certificate: String,
    key: String,
}

/// The prefix of the 32 bytes of an Ed25519 key in PKCS #8 (RFC 8410). Its signatures are deterministic.
const ED25519: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_share_what_one_keeper_has() {
        let vault = |word: &str, keeper: &str| Vault { word: word.to_owned(), keeper: keeper.to_owned() };
        let value = |keeper: &str, key: &str| vault("ours", keeper).value(key).unwrap();
        for key in ["mesh/certificate", "mesh/key", "database/password"] {
            assert_eq!(value("", key), value("", key));
            assert_ne!(value("", key), value("another", key));
            assert_ne!(value("", key), vault("theirs", "").value(key).unwrap());
        }
        assert!(value("", "mesh/certificate").starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(value("", "mesh/key").starts_with("-----BEGIN PRIVATE KEY-----"));
    }

    #[test]
    fn it_answers_as_the_program_of_a_vault() {
        let state = tempfile::tempdir().unwrap();
        let folder = Folder(state.path().join("sandboxes/infra"));
        folder.make().unwrap();
        let read = |words: [&str; 3]| answer(&folder.0, &words.map(str::to_owned));
        read(["read", "--no-newline", "op://infra/mesh/key"]).unwrap_err();
        Vault::found(&folder).unwrap();
        let said = read(["read", "--no-newline", "op://infra/mesh/key"]).unwrap();
        Vault::found(&folder).unwrap();
        assert_eq!(said, Vault::of(&folder).unwrap().value("mesh/key").unwrap());
        assert!(read(["item", "get", "mesh"]).is_err());
    }
}
