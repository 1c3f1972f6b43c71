//! PEM and DER, in and out.
//!
//! Source: RFC 7468.

use rustls::pki_types::pem::{self, PemObject, SectionKind};
use x509_cert::der::pem::{LineEnding, encode_string};
use zeroize::Zeroizing;

use super::error::Error;

/// One section of a PEM file, of any kind.
pub(super) struct Section {
    pub(super) kind: SectionKind,
    pub(super) der: Zeroizing<Vec<u8>>,
}

impl PemObject for Section {
    fn from_pem(kind: SectionKind, der: Vec<u8>) -> Option<Self> {
        Some(Self { kind, der: Zeroizing::new(der) })
    }
}

/// The sections of a PEM text.
pub(super) fn read(text: &[u8]) -> Result<Vec<Section>, Error> {
    let sections = Section::pem_slice_iter(text).collect::<Result<Vec<_>, pem::Error>>();
    sections.map_err(|error| {
        Error::data(format!("the file is not valid PEM: {error}"), "write it again from its source")
    })
}

/// Whether the bytes have a PEM section.
pub(super) fn is_pem(bytes: &[u8]) -> bool {
    bytes.windows(11).any(|window| window == b"-----BEGIN ")
}

/// One section.
pub(super) fn write(label: &'static str, der: &[u8]) -> Result<Zeroizing<String>, Error> {
    encode_string(label, LineEnding::LF, der).map(Zeroizing::new).map_err(Error::internal)
}
