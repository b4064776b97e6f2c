//! Issues the certificates of simulated controllers: of certgen and of cert-manager.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// A certificate and its key, as PEM.
pub(super) struct Issued {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// A certificate to be issued.
pub(super) struct Wanted<'a> {
    pub(super) common_name: Option<&'a str>,
    /// Names and addresses.
    pub(super) hosts: Vec<String>,
    pub(super) is_authority: bool,
}

impl Wanted<'_> {
    fn parameters(&self) -> Result<CertificateParams, rcgen::Error> {
        let mut params = CertificateParams::new(self.hosts.clone())?;
        if let Some(name) = self.common_name {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        if self.is_authority {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        } else {
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
            params.extended_key_usages =
                vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        }
        Ok(params)
    }

    /// Signed by itself.
    pub(super) fn self_signed(&self) -> Result<Issued, rcgen::Error> {
        let key = KeyPair::generate()?;
        let certificate = self.parameters()?.self_signed(&key)?.pem();
        Ok(Issued { certificate, key: key.serialize_pem() })
    }

    /// Signed by a CA.
    pub(super) fn signed_by(&self, authority: &Issuer<'_, KeyPair>) -> Result<Issued, rcgen::Error> {
        let key = KeyPair::generate()?;
        let certificate = self.parameters()?.signed_by(&key, authority)?.pem();
        Ok(Issued { certificate, key: key.serialize_pem() })
    }
}

/// A CA that signs, from its PEM.
pub(super) fn authority(certificate: &str, key: &str) -> Result<Issuer<'static, KeyPair>, rcgen::Error> {
    Issuer::from_ca_cert_pem(certificate, KeyPair::from_pem(key)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_of_a_ca_has_the_wanted_names() {
        let wanted = |hosts: &[&str], is_authority| Wanted {
            common_name: Some("home"),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            is_authority,
        };
        let of_authority = wanted(&[], true).self_signed().unwrap();
        let signer = authority(&of_authority.certificate, &of_authority.key).unwrap();
        let issued = wanted(&["home.test", "*.home.test", "10.0.0.1"], false).signed_by(&signer).unwrap();
        assert!(issued.certificate.starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(issued.key.contains("PRIVATE KEY"));
        assert!(wanted(&["not a name \u{e4}"], false).signed_by(&signer).is_err());
    }
}
