//! Reads `client_auth` of a service.
//!
//! Source: the modes are those of z/VM's CLIENTCERT (NONE, PREFERRED, REQUIRED) and of AT-TLS'
//! `ClientAuthType` (Full, Required), under the names that most servers use.

use std::ops::Range;
use std::path::Path;

use toml::de::DeValue;

use super::reader::{Node, Table, Word};
use super::schema::ClientAuth;
use super::service::path;

#[derive(Clone, Copy)]
enum Mode {
    None,
    Optional,
    Required,
}

const MODES: [Word<Mode>; 3] =
    [("none", Mode::None), ("optional", Mode::Optional), ("required", Mode::Required)];

/// Where the setting stands as a table, this is what it looks like.
const EXAMPLE: &str = "write client_auth = { mode = \"required\", ca = \"clients-ca.pem\" }";

/// The setting, and where its file of CAs is named.
pub(super) fn read(service: &Table<'_>, directory: &Path) -> (ClientAuth, Option<Range<usize>>) {
    let Some(node) = service.get("client_auth") else { return Default::default() };
    if !matches!(node.value(), DeValue::Table(_)) {
        read_word(&node);
        return Default::default();
    }
    let Some(table) = node.table("service.client_auth") else { return Default::default() };
    let mode = table.require("mode", EXAMPLE).and_then(|node| node.word(&MODES, &[]));
    let ca = table.get("ca");
    match mode {
        None => Default::default(),
        Some(Mode::None) => {
            if let Some(ca) = ca {
                ca.error(
                    "`ca` is given, but clients are not asked for a certificate",
                    "write mode = \"optional\" or \"required\", or take `ca` out",
                );
            }
            Default::default()
        }
        Some(mode) => {
            let Some(ca) = ca.or_else(|| table.require("ca", EXAMPLE)) else {
                return Default::default();
            };
            let Some(file) = path(&ca, directory) else { return Default::default() };
            let read = match mode {
                Mode::Required => ClientAuth::Required(file),
                _ => ClientAuth::Optional(file),
            };
            (read, Some(ca.span()))
        }
    }
}

/// Only `none` can stand alone: the other modes need to be told whom to trust.
fn read_word(node: &Node<'_>) {
    if let Some(Mode::Optional | Mode::Required) = node.word(&MODES, &[]) {
        node.error("this mode needs to know which CAs to trust", EXAMPLE);
    }
}
