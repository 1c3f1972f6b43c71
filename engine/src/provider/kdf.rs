//! HKDF (TLS 1.3) and the PRF (TLS 1.2), both over cpacf's HMAC.
//!
//! rustls offers both on top of an `Hmac`; using them keeps one copy of RFC 5869 and of RFC 5246
//! §5 in the handshake and routes every step through the counted function.

use rustls::crypto::tls12::PrfUsingHmac;
use rustls::crypto::tls13::HkdfUsingHmac;

use super::hmac;

pub(super) static HKDF_SHA256: HkdfUsingHmac<'static> = HkdfUsingHmac(&hmac::SHA256);
pub(super) static HKDF_SHA384: HkdfUsingHmac<'static> = HkdfUsingHmac(&hmac::SHA384);
pub(super) static PRF_SHA256: PrfUsingHmac<'static> = PrfUsingHmac(&hmac::SHA256);
pub(super) static PRF_SHA384: PrfUsingHmac<'static> = PrfUsingHmac(&hmac::SHA384);
