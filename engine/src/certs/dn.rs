//! Distinguished names as text.
//!
//! Invariants: the result is at most [`TEXT_MAX`] bytes long, has no control character and no
//! character that reads differently from how it is stored: what a client writes into its name can
//! neither forge an attribute nor drive a terminal.
//!
//! Source: RFC 4514 §2 (order, names of attributes, escapes), RFC 4519 for the short names.

use x509_parser::asn1_rs::ToDer;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Most bytes of a name as text; a longer one ends with [`CUT`].
pub(crate) const TEXT_MAX: usize = 512;
const CUT: &str = "...";

/// Attributes that RFC 4514 §3 wants by name, and three that certificates of people have.
const KNOWN: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.4", "SN"),
    ("2.5.4.42", "GN"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// The name in the form of RFC 4514, e.g. `CN=app1,OU=Payments,O=Example`.
pub(crate) fn text(name: &X509Name<'_>) -> String {
    let mut out = String::new();
    // The sequence in the certificate begins with the most general part, the text ends with it.
    let parts: Vec<_> = name.iter_rdn().collect();
    for (position, part) in parts.iter().rev().enumerate() {
        for (nth, attribute) in part.iter().enumerate() {
            if position > 0 || nth > 0 {
                out.push(if nth > 0 { '+' } else { ',' });
            }
            push_attribute(&mut out, attribute);
            if out.len() > TEXT_MAX {
                return cut(out);
            }
        }
    }
    out
}

/// The first common name, with control characters replaced.
pub(crate) fn common_name(name: &X509Name<'_>) -> Option<String> {
    let text = name.iter_common_name().next()?.as_str().ok()?;
    let shown: String = text
        .chars()
        .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
        .collect();
    Some(if shown.len() > TEXT_MAX { cut(shown) } else { shown })
}

fn push_attribute(out: &mut String, attribute: &AttributeTypeAndValue<'_>) {
    let oid = attribute.attr_type().to_id_string();
    let short = KNOWN.iter().find(|(known, _)| *known == oid).map(|(_, short)| *short);
    out.push_str(short.unwrap_or(&oid));
    out.push('=');
    match attribute.as_str() {
        Ok(value) if short.is_some() => push_escaped(out, value),
        // RFC 4514 §2.4: what has no name or no text is shown in BER, as hexadecimal digits.
        _ => {
            out.push('#');
            push_hex(out, &attribute.attr_value().to_der_vec().unwrap_or_default());
        }
    }
}

/// RFC 4514 §2.4; control characters and everything that is no ASCII by their bytes.
fn push_escaped(out: &mut String, value: &str) {
    let last = value.chars().count().saturating_sub(1);
    for (position, c) in value.chars().enumerate() {
        if out.len() > TEXT_MAX {
            return;
        }
        let at_end = position == 0 || position == last;
        match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => out.extend(['\\', c]),
            ' ' if at_end => out.push_str("\\ "),
            '#' if position == 0 => out.push_str("\\#"),
            ' '..='~' => out.push(c),
            c if c.is_alphanumeric() => out.push(c),
            c => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    out.push('\\');
                    push_hex(out, &[byte]);
                }
            }
        }
    }
}

fn push_hex(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        if out.len() > TEXT_MAX {
            return;
        }
        for digit in [byte >> 4, byte & 15] {
            out.extend(char::from_digit(u32::from(digit), 16));
        }
    }
}

fn cut(mut text: String) -> String {
    let mut end = TEXT_MAX - CUT.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push_str(CUT);
    text
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
    use x509_parser::prelude::{FromDer, X509Certificate};

    use super::{TEXT_MAX, common_name, text};

    /// The name with these attributes, as text, and its common name.
    fn shown(parts: &[(DnType, &str)]) -> (String, Option<String>) {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in parts {
            params.distinguished_name.push(kind.clone(), *value);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let (_, certificate) = X509Certificate::from_der(certificate.der()).unwrap();
        (text(certificate.subject()), common_name(certificate.subject()))
    }

    #[test]
    fn names_read_as_rfc_4514_wants_them() {
        let (name, common) = shown(&[
            (DnType::CountryName, "DE"),
            (DnType::OrganizationName, "Example, Inc."),
            (DnType::CommonName, "app1"),
        ]);
        assert_eq!(name, "CN=app1,O=Example\\, Inc.,C=DE");
        assert_eq!(common.as_deref(), Some("app1"));
        assert_eq!(shown(&[]), (String::new(), None));
        let (name, _) = shown(&[(DnType::CustomDnType(vec![1, 3, 9999, 7]), "x")]);
        assert_eq!(name, "1.3.9999.7=#0c0178");
    }

    #[test]
    fn a_hostile_name_is_cut_and_escaped() {
        let (name, common) = shown(&[(DnType::CommonName, "# a+b=\"\\\n\u{1b}[31m\u{202e},O=CA ")]);
        assert_eq!(name, "CN=\\# a\\+b=\\\"\\\\\\0a\\1b[31m\\e2\\80\\ae\\,O=CA\\ ");
        assert!(!common.unwrap().contains(['\n', '\u{1b}']));
        for filler in ["x", "é", "\n", "\\"] {
            let long = filler.repeat(100_000 / filler.len());
            let (name, common) = shown(&[(DnType::CommonName, &long), (DnType::CommonName, &long)]);
            assert!(name.len() <= TEXT_MAX && name.ends_with("..."), "{filler:?}");
            assert!(common.is_some_and(|common| common.len() <= TEXT_MAX), "{filler:?}");
        }
    }
}
