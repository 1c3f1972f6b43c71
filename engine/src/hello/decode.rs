//! From the bytes of one ClientHello message to [`ClientHello`].
//!
//! tls-parser takes the fixed part apart and splits the extensions; the contents that matter are
//! read strictly (see [`super::wire`]). Extensions we have no use for are not looked into: rustls
//! judges them, and a reader that is stricter than the server behind it refuses good clients.

use std::net::IpAddr;

use rustls_pki_types::DnsName;
use tls_parser::{TlsClientHelloContents, TlsExtension, TlsExtensionType as Type};

use super::client::{ClientHello, OddName, printable};
use super::wire::{Cursor, Malformed, numbers};
use crate::iana;

/// Why a hello could not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The fixed part, or the block of extensions, is not as long as it says.
    Message,
    /// The contents of this extension are malformed.
    Extension(u16),
    /// This extension comes twice.
    Duplicate(u16),
}

/// Most extensions a client may send; browsers send fewer than 25.
const MAX_EXTENSIONS: usize = 256;

/// Decodes the body of a ClientHello message, its four-byte header removed.
pub(super) fn decode(body: &[u8]) -> Result<ClientHello, Fault> {
    let (rest, contents) =
        tls_parser::parse_tls_handshake_client_hello(body).map_err(|_| Fault::Message)?;
    if !rest.is_empty() {
        return Err(Fault::Message);
    }
    let mut hello = fixed_part(&contents, body.len());
    let mut seen: Vec<u16> = Vec::new();
    let mut block = contents.ext.unwrap_or_default();
    while !block.is_empty() {
        let Ok((rest, TlsExtension::Unknown(kind, content))) =
            tls_parser::parse_tls_extension_unknown(block)
        else {
            return Err(Fault::Message);
        };
        block = rest;
        if seen.contains(&kind.0) {
            return Err(Fault::Duplicate(kind.0));
        }
        if seen.len() == MAX_EXTENSIONS {
            return Err(Fault::Message);
        }
        seen.push(kind.0);
        extension(&mut hello, kind, content).map_err(|Malformed| Fault::Extension(kind.0))?;
    }
    settle_versions(&mut hello);
    Ok(hello)
}

fn fixed_part(contents: &TlsClientHelloContents<'_>, body_len: usize) -> ClientHello {
    let mut hello = ClientHello {
        legacy_version: contents.version.0,
        // The session ID has at most 32 bytes.
        session_id_len: contents
            .session_id
            .map_or(0, |id| u8::try_from(id.len()).unwrap_or(u8::MAX)),
        len: body_len + super::reader::MESSAGE_HEADER_LEN,
        ..ClientHello::default()
    };
    for suite in &contents.ciphers {
        hello.fallback_scsv |= suite.0 == iana::FALLBACK_SCSV;
        hello.secure_renegotiation |= suite.0 == iana::RENEGOTIATION_SCSV;
    }
    let suites = contents.ciphers.iter().map(|suite| suite.0);
    hello.suites = suites.filter(|id| !iana::is_grease(*id) && !iana::is_signalling(*id)).collect();
    hello
}

/// Reads one extension into `hello`.
fn extension(hello: &mut ClientHello, kind: Type, content: &[u8]) -> Result<(), Malformed> {
    match kind {
        Type::ServerName => server_name(hello, content)?,
        Type::SupportedGroups => hello.groups = list16(content)?,
        Type::SignatureAlgorithms => hello.signature_algorithms = Some(list16(content)?),
        Type::SigAlgorithmsCert => hello.signature_algorithms_cert = Some(list16(content)?),
        Type::ApplicationLayerProtocolNegotiation => hello.alpn = alpn(content)?,
        Type::SupportedVersions => {
            hello.versions = supported_versions(content)?;
            hello.lists_versions = true;
        }
        Type::KeyShare => hello.key_shares = key_shares(content)?,
        Type::PreSharedKey => hello.pre_shared_key = true,
        Type::EarlyData => hello.early_data = true,
        Type::SessionTicketTLS => hello.session_ticket = !content.is_empty(),
        Type::ExtendedMasterSecret => hello.extended_master_secret = true,
        Type::RenegotiationInfo => hello.secure_renegotiation = true,
        _ => {}
    }
    Ok(())
}

/// A client without `supported_versions` names the highest version it speaks, at most TLS 1.2
/// whatever the number says (RFC 8446 §4.2.1).
fn settle_versions(hello: &mut ClientHello) {
    if !hello.lists_versions {
        hello.versions = vec![hello.legacy_version.min(iana::TLS12)];
    }
    hello.versions.sort_unstable_by(|a, b| b.cmp(a));
    hello.versions.dedup();
}

fn without_grease(mut list: Vec<u16>) -> Vec<u16> {
    list.retain(|value| !iana::is_grease(*value));
    list
}

/// A list of numbers behind a two-byte length.
fn list16(content: &[u8]) -> Result<Vec<u16>, Malformed> {
    let mut cursor = Cursor::new(content);
    let list = numbers(cursor.vector16()?)?;
    cursor.end()?;
    Ok(without_grease(list))
}

fn supported_versions(content: &[u8]) -> Result<Vec<u16>, Malformed> {
    let mut cursor = Cursor::new(content);
    let list = numbers(cursor.vector8()?)?;
    cursor.end()?;
    Ok(without_grease(list))
}

fn key_shares(content: &[u8]) -> Result<Vec<u16>, Malformed> {
    let mut outer = Cursor::new(content);
    let mut entries = Cursor::new(outer.vector16()?);
    outer.end()?;
    let mut groups = Vec::new();
    while !entries.is_empty() {
        groups.push(entries.u16()?);
        entries.vector16()?;
    }
    Ok(without_grease(groups))
}

fn alpn(content: &[u8]) -> Result<Vec<Vec<u8>>, Malformed> {
    let mut outer = Cursor::new(content);
    let mut names = Cursor::new(outer.vector16()?);
    outer.end()?;
    let mut protocols = Vec::new();
    while !names.is_empty() {
        let name = names.vector8()?;
        if name.is_empty() {
            return Err(Malformed);
        }
        // GREASE in ALPN: two equal bytes of the GREASE pattern (RFC 8701 §2).
        if !matches!(name, [high, low] if iana::is_grease(u16::from_be_bytes([*high, *low]))) {
            protocols.push(name.to_vec());
        }
    }
    Ok(protocols)
}

/// Name type of a DNS host name, the only one defined.
const HOST_NAME: u8 = 0;

fn server_name(hello: &mut ClientHello, content: &[u8]) -> Result<(), Malformed> {
    let mut outer = Cursor::new(content);
    let mut names = Cursor::new(outer.vector16()?);
    outer.end()?;
    let mut found = false;
    while !names.is_empty() {
        if names.u8()? != HOST_NAME {
            // The length of other kinds is not known, so nothing after them can be read.
            break;
        }
        let name = names.vector16()?;
        if found {
            return Err(Malformed);
        }
        found = true;
        match host_name(name) {
            Ok(name) => hello.sni = Some(name),
            Err(odd) => hello.odd_sni = Some(odd),
        }
    }
    Ok(())
}

fn host_name(bytes: &[u8]) -> Result<String, OddName> {
    let illegal = || OddName::Illegal(printable(bytes));
    let text = std::str::from_utf8(bytes).map_err(|_| illegal())?;
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        return Err(OddName::Address(text.to_owned()));
    }
    DnsName::try_from(text).map_err(|_| illegal())?;
    Ok(text.to_ascii_lowercase())
}
