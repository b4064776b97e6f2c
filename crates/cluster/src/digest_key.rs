//! The HMAC key of a cluster's digests. Anyone who can read ConfigMaps can read the history, and could find a
//! short secret from its digest by brute force. So the key is in a separate Secret.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

use super::apply::FIELD_MANAGER;
use super::calls::if_there;
use super::failures::failure;
use super::{Cluster, HOME};
use bootstrapper_core::digest::hex;
use bootstrapper_core::failure::{Failure, Result};

/// The Secret, with the name of the history's ConfigMap.
const NAME: &str = "bootstrapper-history";
/// Its field.
const FIELD: &str = "key";
/// Its length in bytes.
const LENGTH: usize = 32;

/// The key of a cluster's digests.
pub(super) struct DigestKey(hmac::Key);

impl DigestKey {
    /// None if it is too short.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= LENGTH).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }

    /// The digest of a digest.
    pub(super) fn of(&self, digest: &str) -> String {
        hex(hmac::sign(&self.0, digest.as_bytes()).as_ref())
    }
}

impl Cluster {
    /// The cluster's key; created if it does not exist.
    pub(super) async fn digest_key(&self) -> Result<DigestKey> {
        let what = "cannot read the key of the history's digests";
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), HOME);
        if let Some(there) = if_there(what, secrets.get(NAME)).await? {
            return read(&there);
        }
        let mut bytes = [0; LENGTH];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| Failure::internal("the system provides no random numbers"))?;
        let new = Secret {
            metadata: ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() },
            data: Some([(FIELD.to_owned(), ByteString(bytes.to_vec()))].into()),
            ..Secret::default()
        };
        let parameters =
            PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        match secrets.create(&parameters, &new).await {
            Ok(made) => read(&made),
            // Another run has created it meanwhile.
            Err(kube::Error::Api(status)) if status.code == 409 => if_there(what, secrets.get(NAME))
                .await?
                .map_or_else(|| Err(Failure::step(what)), |there| read(&there)),
            Err(error) => Err(failure("cannot write the key of the history's digests", &error)),
        }
    }
}

fn read(secret: &Secret) -> Result<DigestKey> {
    let bytes = secret.data.as_ref().and_then(|data| data.get(FIELD));
    bytes.and_then(|bytes| DigestKey::from_bytes(&bytes.0)).ok_or_else(|| {
        Failure::step(format!("Secret {HOME}/{NAME} contains no key"))
            .hint("delete it: the next run creates a new one")
    })
}
