//! What cosign signs of an artifact, and whether one of the given keys did. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};
use serde_json::Value;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

/// What a bundle says of an artifact: that it is signed, and not what is in it or who scanned it.
const SIGN: &str = "https://sigstore.dev/cosign/sign/v1";

/// A public key.
pub(super) struct PublicKey(UnparsedPublicKey<Vec<u8>>);

impl PublicKey {
    /// Reads a PEM, as `cosign generate-key-pair` writes it. None if it holds no key of a supported kind.
    pub(super) fn parse(pem: &str) -> Option<Self> {
        let (_, pem) = parse_x509_pem(pem.as_bytes()).ok()?;
        let (_, key) = SubjectPublicKeyInfo::from_der(&pem.contents).ok()?;
        let bytes = key.subject_public_key.data.to_vec();
        let curve = || Some(key.algorithm.parameters.as_ref()?.as_oid().ok()?.to_id_string());
        let algorithm: &'static dyn VerificationAlgorithm =
            match key.algorithm.algorithm.to_id_string().as_str() {
                "1.2.840.10045.2.1" => match curve()?.as_str() {
                    "1.2.840.10045.3.1.7" => &ECDSA_P256_SHA256_ASN1,
                    "1.3.132.0.34" => &ECDSA_P384_SHA256_ASN1,
                    _ => return None,
                },
                "1.2.840.113549.1.1.1" => &RSA_PKCS1_2048_8192_SHA256,
                "1.3.101.112" => &ED25519,
                _ => return None,
            };
        Some(Self(UnparsedPublicKey::new(algorithm, bytes)))
    }

    fn has_signed(&self, signed: &Signed) -> bool {
        self.0.verify(&signed.message, &signed.signature).is_ok()
    }
}

/// A message, and the signature of somebody.
#[derive(Debug, PartialEq)]
pub(super) struct Signed {
    message: Vec<u8>,
    signature: Vec<u8>,
}

impl Signed {
    /// A simple signing: its payload, and the annotation with the signature. None if it is of another
    /// artifact than that of `digest` (`sha256:…`).
    pub(super) fn simple(payload: &[u8], signature: &str, digest: &str) -> Option<Self> {
        let said: Value = serde_json::from_slice(payload).ok()?;
        let is_of_it = said["critical"]["image"]["docker-manifest-digest"] == digest;
        let signature = STANDARD.decode(signature.trim()).ok()?;
        is_of_it.then(|| Self { message: payload.to_vec(), signature })
    }

    /// Those of a Sigstore bundle, which holds a signed statement about the artifact. Empty if that is of
    /// another artifact, or says something else than that it is signed.
    pub(super) fn of_bundle(bundle: &[u8], digest: &str) -> Vec<Self> {
        let read = || -> Option<Vec<Self>> {
            let bundle: Value = serde_json::from_slice(bundle).ok()?;
            let envelope = &bundle["dsseEnvelope"];
            let payload = STANDARD.decode(envelope["payload"].as_str()?).ok()?;
            let statement: Value = serde_json::from_slice(&payload).ok()?;
            let hex = digest.strip_prefix("sha256:")?;
            let is_of_it =
                statement["subject"].as_array()?.iter().any(|subject| subject["digest"]["sha256"] == hex);
            if !is_of_it || statement["predicateType"] != SIGN {
                return None;
            }
            let message = pre_authentication(envelope["payloadType"].as_str()?, &payload);
            let signatures = envelope["signatures"].as_array()?.iter();
            let signatures = signatures.filter_map(|one| STANDARD.decode(one["sig"].as_str()?).ok());
            Some(signatures.map(|signature| Self { message: message.clone(), signature }).collect())
        };
        read().unwrap_or_default()
    }

    /// Whether one of these keys made it.
    pub(super) fn is_by_any(&self, keys: &[PublicKey]) -> bool {
        keys.iter().any(|key| key.has_signed(self))
    }
}

/// What DSSE signs: the payload with its type.
fn pre_authentication(kind: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
    use serde_json::json;

    use super::*;

    const DIGEST: &str = "sha256:aa";

    fn pair() -> EcdsaKeyPair {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap()
    }

    fn pem(pair: &EcdsaKeyPair) -> String {
        // What stands before the point of every P-256 key.
        let head = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
        let head = (0..head.len()).step_by(2).map(|at| u8::from_str_radix(&head[at..at + 2], 16).unwrap());
        let der = head.chain(pair.public_key().as_ref().iter().copied()).collect::<Vec<u8>>();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
    }

    fn sign(pair: &EcdsaKeyPair, message: &[u8]) -> String {
        STANDARD.encode(pair.sign(&SystemRandom::new(), message).unwrap())
    }

    #[test]
    fn a_key_has_signed_what_its_owner_signed() {
        let (own, other) = (pair(), pair());
        let keys = [PublicKey::parse(&pem(&own)).unwrap()];
        let payload = |digest: &str| {
            json!({"critical": {"image": {"docker-manifest-digest": digest}}}).to_string().into_bytes()
        };
        let simple = |by: &EcdsaKeyPair, digest: &str| {
            let payload = payload(digest);
            let signed = Signed::simple(&payload, &sign(by, &payload), DIGEST);
            signed.is_some_and(|signed| signed.is_by_any(&keys))
        };
        assert!(simple(&own, DIGEST));
        assert!(!simple(&other, DIGEST), "another key");
        assert!(!simple(&own, "sha256:bb"), "a signature of something else");

        let kind = "application/vnd.in-toto+json";
        let bundle = |by: &EcdsaKeyPair, digest: &str, predicate: &str| {
            let statement =
                json!({"subject": [{"digest": {"sha256": digest}}], "predicateType": predicate}).to_string();
            let signature = sign(by, &pre_authentication(kind, statement.as_bytes()));
            let bundle = json!({"dsseEnvelope": {
                "payload": STANDARD.encode(&statement), "payloadType": kind, "signatures": [{"sig": signature}],
            }});
            Signed::of_bundle(bundle.to_string().as_bytes(), DIGEST).iter().any(|one| one.is_by_any(&keys))
        };
        assert!(bundle(&own, "aa", SIGN));
        assert!(!bundle(&other, "aa", SIGN), "another key");
        assert!(!bundle(&own, "bb", SIGN), "a statement about something else");
        assert!(!bundle(&own, "aa", "https://slsa.dev/provenance/v1"), "another statement");
    }

    #[test]
    fn anything_may_be_served_as_a_signature() {
        assert!(PublicKey::parse("").is_none() && PublicKey::parse("-----BEGIN PUBLIC KEY-----\n").is_none());
        let bundle =
            json!({"dsseEnvelope": {"payload": "e30=", "payloadType": "x", "signatures": [{"sig": 1}]}});
        bootstrapper_core::fuzzing::texts(&[&bundle.to_string(), &pem(&pair())], |text| {
            drop(Signed::of_bundle(text.as_bytes(), DIGEST));
            drop(Signed::simple(text.as_bytes(), text, DIGEST));
            drop(PublicKey::parse(text));
        });
    }
}
