//! Which certificate a Secret holds: its serial number, read from its DER (RFC 5280, 4.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::object::Object;

/// Under which names Secrets hold a certificate that is theirs.
const NAMES: [&str; 2] = ["tls.crt", "ca.crt"];

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
/// The version of a certificate, which may be left out.
const VERSION: u8 = 0xa0;

/// The serial number of the certificate that a Secret holds, in hexadecimal; none if it holds none.
pub(super) fn serial(secret: &Object) -> Option<String> {
    let pem = NAMES.iter().find_map(|name| secret.data["data"][*name].as_str())?;
    let pem = String::from_utf8(STANDARD.decode(pem).ok()?).ok()?;
    let (_, rest) = pem.split_once("-----BEGIN CERTIFICATE-----")?;
    let (body, _) = rest.split_once("-----END CERTIFICATE-----")?;
    let der = STANDARD.decode(body.split_whitespace().collect::<String>()).ok()?;
    let (certificate, _) = element(&der, SEQUENCE)?;
    let (signed, _) = element(certificate, SEQUENCE)?;
    let after_version = element(signed, VERSION).map_or(signed, |(_, rest)| rest);
    let (number, _) = element(after_version, INTEGER)?;
    let digits: String = number.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(digits.trim_start_matches('0').to_owned())
}

/// The content of the first element, which must have that tag; and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = if length < 0x80 {
        (usize::from(length), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
        (
            bytes
                .iter()
                .try_fold(0_usize, |sum, &byte| sum.checked_mul(256)?.checked_add(usize::from(byte)))?,
            rest,
        )
    };
    (found == tag).then_some(rest.split_at_checked(length)?)
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
