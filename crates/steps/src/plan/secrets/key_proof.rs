//! Verifies, before a key is seeded, that it decrypts the repository's files: otherwise Flux would fail after
//! the hand-over.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use secrecy::ExposeSecret as _;

use super::{Secrets, age};
use bootstrapper_core::failure::{Failure, FailureKind, Result};
use bootstrapper_gitops::{Declared, EncryptedFile, KeyUse, SecretValue};
use bootstrapper_tools::{Environment, Sops, SopsFormat};

/// How many files with the same recipients are listed.
const NAMED: usize = 3;

/// The result of the verification.
#[derive(Debug, Default)]
pub struct KeyProof {
    /// The problems of the keys: one failure for each Secret without keys under the expected names, and for
    /// each set of recipients that none of its keys decrypts.
    pub failures: Vec<Failure>,
    /// Secrets whose keys could not be verified, and why.
    pub unproven: Vec<String>,
}

/// Verifies the keys to be seeded. Generated keys need not decrypt anything.
pub async fn prove_keys(
    declared: &Declared,
    root: &Path,
    secrets: &Secrets,
    environment: &Environment,
) -> KeyProof {
    let mut proof = KeyProof::default();
    for used in declared.key_uses(root) {
        let id = (used.secret.namespace.clone().unwrap_or_default(), used.secret.name.clone());
        let Some(values) = secrets.values.get(&id).filter(|_| !secrets.generated.contains(&id)) else {
            continue;
        };
        // A value that could not be read has its own failure.
        let Some(values) = known(values) else { continue };
        match offered(&values) {
            Offered::Others => {}
            Offered::Nothing => proof.failures.push(without_key(&used, &values)),
            Offered::Age(keys) => match unopened(&used, &keys, || Sops::find(environment)).await {
                Ok(failures) => proof.failures.extend(failures),
                // A step that decrypts fails on its own, and Flux does not need sops.
                Err(failure) => proof.unproven.push(format!(
                    "the keys of {} are not proven to open what the repository encrypts: {}",
                    used.secret, failure.what
                )),
            },
        }
    }
    proof
}

fn known(values: &BTreeMap<String, SecretValue>) -> Option<BTreeMap<&str, &str>> {
    values.iter().map(|(key, value)| Some((key.as_str(), value.known()?.expose_secret()))).collect()
}

/// The entries of a Secret that Flux decrypts with.
#[derive(Debug, PartialEq, Eq)]
enum Offered<'a> {
    /// Age keys, by entry name.
    Age(BTreeMap<&'a str, &'a str>),
    /// Keys of other kinds, which cannot be verified.
    Others,
    /// No keys.
    Nothing,
}

fn offered<'a>(values: &BTreeMap<&'a str, &'a str>) -> Offered<'a> {
    let is_other = |key: &&str| {
        Path::new(key).extension().is_some_and(|kind| kind == "asc")
            || matches!(*key, "sops.aws-kms" | "sops.azure-kv" | "sops.gcp-kms" | "sops.vault-token")
    };
    let is_key = |(key, text): &(&&str, &&str)| key.ends_with(".agekey") && age::holds_key(text);
    let keys: BTreeMap<&str, &str> = values.iter().filter(is_key).map(|(key, text)| (*key, *text)).collect();
    if !keys.is_empty() {
        Offered::Age(keys)
    } else if values.keys().any(is_other) {
        Offered::Others
    } else {
        Offered::Nothing
    }
}

/// Flux selects entries by their names.
fn without_key(used: &KeyUse, values: &BTreeMap<&str, &str>) -> Failure {
    let failure =
        Failure::new(FailureKind::Preflight, format!("{} holds no key that Flux reads", used.secret));
    let misnamed = values.iter().find(|(key, text)| !key.ends_with(".agekey") && age::holds_key(text));
    let failure = match (misnamed, values.keys().find(|key| key.ends_with(".agekey"))) {
        (Some((key, _)), _) => failure
            .because(format!("its age key is called `{key}`, and Flux reads entries called `*.agekey`"))
            .hint(format!("call it `{key}.agekey` in bootstrapper.yaml")),
        (None, Some(key)) => failure
            .because(format!("`{key}` holds no secret age key"))
            .hint("a key begins with AGE-SECRET-KEY-; the public one (age1…) opens nothing"),
        (None, None) => {
            let names: Vec<&str> = values.keys().copied().collect();
            failure
                .because(format!("it has {}; Flux reads entries called `*.agekey`", names.join(", ")))
                .hint("give it an age key: `age.agekey: {age: machine}` in bootstrapper.yaml")
        }
    };
    match &used.location {
        Some(location) => failure.at(location.clone()),
        None => failure,
    }
}

/// Tries one file of each set of recipients: a key that decrypts it decrypts the others of the set. Fails if
/// there are files to try, but sops is missing.
async fn unopened(
    used: &KeyUse,
    keys: &BTreeMap<&str, &str>,
    sops: impl FnOnce() -> Result<Sops>,
) -> Result<Vec<Failure>> {
    let mut sets: BTreeMap<&BTreeSet<String>, Vec<&EncryptedFile>> = BTreeMap::new();
    for file in used.files.iter().filter(|file| file.envelope.is_some()) {
        sets.entry(&file.recipients).or_default().push(file);
    }
    if sets.is_empty() {
        return Ok(Vec::new());
    }
    let sops = sops()?;
    let all = keys.values().copied().collect::<Vec<_>>().join("\n");
    let mut failures = Vec::new();
    for (recipients, files) in sets {
        let Some((first, envelope)) = files.first().and_then(|file| Some((*file, file.envelope.clone()?)))
        else {
            continue;
        };
        let formats = (SopsFormat::Json, SopsFormat::Json);
        if sops.decrypt_content(envelope, formats, &all, false).await.is_err() {
            failures.push(no_key_opens(used, keys, first, (recipients, &files)));
        }
    }
    Ok(failures)
}

fn no_key_opens(
    used: &KeyUse,
    keys: &BTreeMap<&str, &str>,
    first: &EncryptedFile,
    (recipients, files): (&BTreeSet<String>, &[&EncryptedFile]),
) -> Failure {
    let what = format!("no key of {} opens {}", used.secret, first.file.display());
    let to: Vec<&str> = recipients.iter().map(String::as_str).collect();
    let mut failure = Failure::new(FailureKind::Preflight, what)
        .because(format!("it is encrypted to {}", to.join(", ")))
        .because(format!("offered: {}", keys.iter().map(shown).collect::<Vec<_>>().join("; ")));
    let others: Vec<String> = files.iter().skip(1).map(|file| file.file.display().to_string()).collect();
    if !others.is_empty() {
        let named = others.get(..others.len().min(NAMED)).unwrap_or_default().join(", ");
        let more = others.len().saturating_sub(NAMED);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        failure = failure.because(format!("so are {named}{more}"));
    }
    failure
        .hint("name the key of one of these recipients in bootstrapper.yaml")
        .hint(format!("or encrypt for this key: `sops updatekeys {}`", first.file.display()))
        .at(first.location.clone())
}

/// The name of an entry, and the public keys in its comments.
fn shown((name, text): (&&str, &&str)) -> String {
    let (notes, without) = age::noted(text);
    let mut all: Vec<String> = notes.into_iter().map(str::to_owned).collect();
    if without > 0 {
        let keys = if without == 1 { "key" } else { "keys" };
        all.push(format!("{without} {keys} without a `# public key:` note"));
    }
    format!("{name} ({})", all.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bootstrapper_core::failure::Location;
    use bootstrapper_core::object::ObjectRef;

    const KEY: &str = "# public key: age1own\nAGE-SECRET-KEY-1X\n";

    fn used() -> KeyUse {
        KeyUse {
            secret: ObjectRef::namespaced("v1", "Secret", "flux-system", "sops-age"),
            by: Vec::new(),
            location: None,
            files: Vec::new(),
        }
    }

    /// A machine without sops can seed a key: only the verification is skipped.
    #[tokio::test]
    async fn without_sops_nothing_is_proven_and_nothing_fails() {
        let file = |envelope: Option<&[u8]>| EncryptedFile {
            file: "a".into(),
            recipients: ["age1own".to_owned()].into(),
            envelope: envelope.map(<[u8]>::to_vec),
            location: Location { file: "a".into(), line: 1, column: 1 },
        };
        let keys = [("age.agekey", KEY)].into();
        let missing = || Err(Failure::input("sops is not installed"));
        let with = |files: Vec<EncryptedFile>| KeyUse { files, ..used() };
        assert!(unopened(&with(vec![file(Some(b"x"))]), &keys, missing).await.is_err());
        assert!(unopened(&with(vec![file(None)]), &keys, missing).await.unwrap().is_empty());
    }

    #[test]
    fn entries_are_read_by_their_names() {
        for (name, text, expected) in [
            ("age.agekey", KEY, Offered::Age([("age.agekey", KEY)].into())),
            ("age.key", KEY, Offered::Nothing),
            ("age.agekey", "age1own", Offered::Nothing),
            ("identity.asc", "x", Offered::Others),
            ("sops.vault-token", "x", Offered::Others),
        ] {
            assert_eq!(offered(&[(name, text)].into()), expected, "{name}");
        }
        for (name, text, because) in [
            ("age.key", KEY, "its age key is called `age.key`"),
            ("age.agekey", "age1own", "holds no secret age key"),
            ("token", "x", "it has token"),
        ] {
            let failure = without_key(&used(), &[(name, text)].into());
            assert!(failure.because[0].contains(because), "{failure:?}");
            assert_eq!(failure.kind, FailureKind::Preflight);
        }
    }

    #[test]
    fn a_failure_names_file_recipient_and_what_was_offered() {
        let file = |name: &str| EncryptedFile {
            file: name.into(),
            recipients: ["age1other".to_owned()].into(),
            envelope: None,
            location: Location { file: name.into(), line: 7, column: 3 },
        };
        let files: Vec<EncryptedFile> = ["a", "b", "c", "d", "e"].map(file).into();
        let files: Vec<&EncryptedFile> = files.iter().collect();
        let keys = [("a.agekey", KEY), ("b.agekey", "AGE-SECRET-KEY-1Y")].into();
        let failure = no_key_opens(&used(), &keys, files[0], (&files[0].recipients, &files));
        assert!(failure.what.contains("flux-system/sops-age opens a"), "{failure:?}");
        assert_eq!(failure.because[0], "it is encrypted to age1other");
        assert_eq!(
            failure.because[1],
            "offered: a.agekey (age1own); b.agekey (1 key without a `# public key:` note)"
        );
        assert_eq!(failure.because[2], "so are b, c, d and 1 more");
        assert_eq!(failure.location.unwrap().line, 7);
    }
}
