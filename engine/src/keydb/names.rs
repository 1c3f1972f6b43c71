//! Names in certificates: subjects and alternative names.
//!
//! Source: RFC 5280 §4.1.2.4, §4.2.1.6 and appendix A.1 (upper bounds).

use std::net::IpAddr;

use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::asn1::{
    Any, Ia5String, ObjectIdentifier, OctetString, PrintableStringRef, SetOfVec, Utf8StringRef,
};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};

use super::error::Error;
use crate::certs::NamePattern;

/// The parts of a subject, as gskkyman asks for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// CN; required.
    pub common_name: String,
    /// OU.
    pub unit: Option<String>,
    /// O.
    pub organization: Option<String>,
    /// L.
    pub locality: Option<String>,
    /// ST.
    pub state: Option<String>,
    /// C, two letters.
    pub country: Option<String>,
}

impl Subject {
    /// The name, most general part first.
    pub(super) fn name(&self) -> Result<Name, Error> {
        let mut parts = Vec::new();
        let given = [
            ("2.5.4.6", "country", &self.country, 2),
            ("2.5.4.8", "state or province", &self.state, 128),
            ("2.5.4.7", "locality", &self.locality, 128),
            ("2.5.4.10", "organization", &self.organization, 64),
            ("2.5.4.11", "organizational unit", &self.unit, 64),
        ];
        for (oid, what, value, most) in given {
            if let Some(value) = value {
                parts.push(part(oid, what, value, most)?);
            }
        }
        parts.push(part("2.5.4.3", "common name", &self.common_name, 64)?);
        Ok(RdnSequence(parts))
    }
}

fn part(
    oid: &'static str,
    what: &str,
    value: &str,
    most: usize,
) -> Result<RelativeDistinguishedName, Error> {
    let length = value.chars().count();
    let is_country = what == "country";
    if is_country && (length != 2 || !value.bytes().all(|b| b.is_ascii_uppercase())) {
        return Err(Error::argument(
            format!("\"{}\" is not a country", value.escape_debug()),
            "write the two capital letters of ISO 3166, e.g. US",
        ));
    }
    if length == 0 || length > most || value.chars().any(char::is_control) {
        return Err(Error::argument(
            format!("\"{}\" cannot be the {what} of a subject", value.escape_debug()),
            format!("write 1 to {most} characters, none of them a control character"),
        ));
    }
    let oid = ObjectIdentifier::new_unwrap(oid);
    let value = if is_country {
        PrintableStringRef::new(value).and_then(|text| Any::encode_from(&text))
    } else {
        Utf8StringRef::new(value).and_then(|text| Any::encode_from(&text))
    };
    let value = value.map_err(Error::internal)?;
    let set = SetOfVec::try_from(vec![AttributeTypeAndValue { oid, value }]);
    set.map(RelativeDistinguishedName).map_err(Error::internal)
}

/// A subject alternative name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AltName {
    /// A host name, or a wildcard for one label.
    Dns(String),
    /// An address.
    Ip(IpAddr),
    /// A mailbox.
    Email(String),
    /// A URI.
    Uri(String),
}

impl AltName {
    /// Reads `dns:NAME`, `ip:ADDRESS`, `email:MAILBOX`, `uri:URI`, or a bare address or host name.
    ///
    /// # Errors
    ///
    /// When it is none of them.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let dns = |name: &str| match NamePattern::parse(name) {
            // Clients compare with what goes over the wire, where there is no underscore.
            Ok(pattern) if !name.contains('_') => Ok(Self::Dns(pattern.to_string())),
            Ok(_) => Err(Error::argument(
                format!("`{name}` has an underscore, which a host name must not have"),
                "write the name that clients connect to",
            )),
            Err(why) => Err(Error::argument(why, "write e.g. dns:www.example.com")),
        };
        let ascii = |value: &str| value.bytes().all(|b| b.is_ascii_graphic());
        match text.split_once(':') {
            Some(("dns", name)) => dns(name),
            Some(("ip", address)) => address.parse().map(Self::Ip).map_err(|_| {
                Error::argument(format!("`{address}` is not an address"), "write e.g. ip:192.0.2.1")
            }),
            Some(("email", mailbox))
                if ascii(mailbox) && mailbox.find('@').is_some_and(|at| at > 0) =>
            {
                Ok(Self::Email(mailbox.to_owned()))
            }
            Some(("uri", uri)) if ascii(uri) && uri.contains(':') => Ok(Self::Uri(uri.to_owned())),
            Some(("email" | "uri", _)) => Err(Error::argument(
                format!("`{text}` is not a mailbox or URI"),
                "write e.g. email:me@example.com or uri:https://example.com/me",
            )),
            _ => text.parse().map(Self::Ip).or_else(|_| dns(text)),
        }
    }

    pub(super) fn general_name(&self) -> Result<GeneralName, Error> {
        let ia5 = |text: &str| Ia5String::new(text).map_err(Error::internal);
        Ok(match self {
            Self::Dns(name) => GeneralName::DnsName(ia5(name)?),
            Self::Email(mailbox) => GeneralName::Rfc822Name(ia5(mailbox)?),
            Self::Uri(uri) => GeneralName::UniformResourceIdentifier(ia5(uri)?),
            Self::Ip(address) => {
                let bytes = match address {
                    IpAddr::V4(v4) => v4.octets().to_vec(),
                    IpAddr::V6(v6) => v6.octets().to_vec(),
                };
                GeneralName::IpAddress(OctetString::new(bytes).map_err(Error::internal)?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternative_names_are_read() {
        let read = |text| AltName::parse(text).unwrap();
        assert_eq!(read("dns:WWW.Example.com"), AltName::Dns("www.example.com".into()));
        assert_eq!(read("*.example.com"), AltName::Dns("*.example.com".into()));
        assert_eq!(read("192.0.2.1"), AltName::Ip("192.0.2.1".parse().unwrap()));
        assert_eq!(read("ip:::1"), AltName::Ip("::1".parse().unwrap()));
        assert_eq!(read("::1"), AltName::Ip("::1".parse().unwrap()));
        assert_eq!(read("email:a@b.c"), AltName::Email("a@b.c".into()));
        assert_eq!(read("uri:spiffe://a/b"), AltName::Uri("spiffe://a/b".into()));
        for bad in ["", "dns:", "ip:1", "email:@b", "uri:a", "a_b.c", "a b", "*.com"] {
            assert!(AltName::parse(bad).is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn subjects_have_their_bounds() {
        let subject = |common_name: &str, country: &str| Subject {
            common_name: common_name.into(),
            country: Some(country.into()),
            ..Subject::default()
        };
        assert_eq!(subject("zvmca", "US").name().unwrap().to_string(), "CN=zvmca,C=US");
        for (name, country) in [("", "US"), ("a\n", "US"), ("a", "us"), ("a", "USA")] {
            assert!(subject(name, country).name().is_err(), "{name:?} {country:?}");
        }
        assert!(subject(&"x".repeat(64), "US").name().is_ok());
        assert!(subject(&"x".repeat(65), "US").name().is_err());
    }
}
