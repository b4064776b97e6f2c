//! Identifies the certificate in a Secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use x509_parser::pem::parse_x509_pem;

use bootstrapper_core::object::Object;

/// Keys under which Secrets store their own certificate.
const NAMES: [&str; 2] = ["tls.crt", "ca.crt"];

/// The serial number of the certificate in a Secret, in hexadecimal; none without a certificate.
pub(super) fn serial(secret: &Object) -> Option<String> {
    let encoded = NAMES.iter().find_map(|name| secret.data["data"][*name].as_str())?;
    let (_, pem) = parse_x509_pem(&STANDARD.decode(encoded).ok()?).ok()?;
    let serial = pem.parse_x509().ok()?.serial.to_str_radix(16);
    Some(serial)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SerialNumber};
    use serde_json::json;

    use super::*;

    fn secret(name: &str, content: &str) -> Object {
        serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "data": {name: STANDARD.encode(content)},
        }))
        .unwrap()
    }

    #[test]
    fn a_certificate_is_known_by_its_serial() {
        let mut parameters = CertificateParams::new(["a.test".to_owned()]).unwrap();
        parameters.serial_number = Some(SerialNumber::from(vec![0x01, 0xab, 0x00, 0xff]));
        let pem = parameters.self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
        assert_eq!(serial(&secret("tls.crt", &pem)).as_deref(), Some("1ab00ff"));
        assert_eq!(serial(&secret("ca.crt", &pem)).as_deref(), Some("1ab00ff"));
    }

    #[test]
    fn what_is_no_certificate_has_no_serial() {
        let cut = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        for content in ["", "x", cut, "-----BEGIN CERTIFICATE-----\nMIL/////\n-----END CERTIFICATE-----"] {
            assert_eq!(serial(&secret("tls.crt", content)), None, "{content}");
        }
        assert_eq!(serial(&secret("password", "x")), None);
    }
}
