//! What a function is for, by its name: the one table by which profiles are divided.
//!
//! Invariants: every function has exactly one class; the first rule that fits decides; what no rule
//! knows is [`Class::Other`], and a table shows how much that is.
//!
//! A name says what is computed, not for whom. So arithmetic of big numbers and of the NIST curves
//! counts as signature, which is right while the key agreement is X25519 (as in every load here);
//! AES inside the random generator counts as AEAD; what the compiler has inlined counts for the
//! function it was inlined into.

use std::fmt;

/// A share of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The system: sockets, epoll, scheduling, page faults.
    Kernel,
    /// Sealing and opening of records.
    Aead,
    /// Key agreement.
    KeyExchange,
    /// Signatures, made and checked.
    Signature,
    /// Hashes, HMAC, key derivation.
    Hash,
    /// Random numbers and what the library of cryptography needs besides.
    OtherCrypto,
    /// rustls.
    Rustls,
    /// Paths and names of certificates.
    Webpki,
    /// Ours: connections without sockets, fibers included.
    Engine,
    /// Ours: queues and simulated cards, without the cryptography of the cards.
    Cex,
    /// Ours: the function layer above the library.
    Cpacf,
    /// Ours: sockets, event loop, records of connections.
    Server,
    /// Allocating, copying, zeroing, comparing.
    Memory,
    /// Reading clocks.
    Clock,
    /// The standard libraries of C and Rust.
    Library,
    /// No rule knows it.
    Other,
}

impl Class {
    /// All of them in the order of tables.
    pub const ALL: [Self; 16] = [
        Self::Kernel,
        Self::Aead,
        Self::KeyExchange,
        Self::Signature,
        Self::Hash,
        Self::OtherCrypto,
        Self::Rustls,
        Self::Webpki,
        Self::Engine,
        Self::Cex,
        Self::Cpacf,
        Self::Server,
        Self::Memory,
        Self::Clock,
        Self::Library,
        Self::Other,
    ];

    /// What a table and a line of JSON call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Aead => "AEAD",
            Self::KeyExchange => "key exchange",
            Self::Signature => "signature",
            Self::Hash => "hash, KDF",
            Self::OtherCrypto => "other crypto",
            Self::Rustls => "rustls",
            Self::Webpki => "webpki",
            Self::Engine => "engine",
            Self::Cex => "cex",
            Self::Cpacf => "cpacf",
            Self::Server => "server",
            Self::Memory => "memory",
            Self::Clock => "clocks",
            Self::Library => "libc, std",
            Self::Other => "unknown",
        }
    }

    /// Whether it is code of this project.
    #[must_use]
    pub fn is_ours(self) -> bool {
        matches!(self, Self::Engine | Self::Cex | Self::Cpacf | Self::Server)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Parts of the names of shared objects.
const OBJECTS: &[(&str, Class)] =
    &[("[kernel", Class::Kernel), ("[guest.kernel", Class::Kernel), ("[vdso]", Class::Clock)];

/// Crates; of several in a name the first is the type that does the work.
const CRATES: &[(&str, Class)] = &[
    ("aws_lc_rs::aead::", Class::Aead),
    ("aws_lc_rs::agreement::", Class::KeyExchange),
    ("aws_lc_rs::digest::", Class::Hash),
    ("aws_lc_rs::hmac::", Class::Hash),
    ("aws_lc_rs::signature::", Class::Signature),
    ("aws_lc_rs::rsa::", Class::Signature),
    ("aws_lc_rs::ec::", Class::Signature),
    ("aws_lc_rs::", Class::OtherCrypto),
    ("rustls::", Class::Rustls),
    ("webpki::", Class::Webpki),
    ("engine::", Class::Engine),
    ("corosensei::", Class::Engine),
    ("tls_parser::", Class::Engine),
    ("cex::", Class::Cex),
    ("crossbeam_", Class::Cex),
    ("cpacf::", Class::Cpacf),
    ("adjunct::", Class::Server),
    ("mio::", Class::Server),
    ("slab::", Class::Server),
    ("serde_json::", Class::Server),
    ("zeroize::", Class::Memory),
];

/// Parts of the names of functions of the C libraries, aws-lc among them, without its prefix.
const C_FUNCTIONS: &[(&str, Class)] = &[
    ("malloc", Class::Memory),
    ("calloc", Class::Memory),
    ("realloc", Class::Memory),
    ("_int_free", Class::Memory),
    ("cfree", Class::Memory),
    ("OPENSSL_free", Class::Memory),
    ("OPENSSL_cleanse", Class::Memory),
    ("OPENSSL_clear_free", Class::Memory),
    ("tcache_", Class::Memory),
    ("unlink_chunk", Class::Memory),
    ("memcpy", Class::Memory),
    ("memmove", Class::Memory),
    ("memset", Class::Memory),
    ("memcmp", Class::Memory),
    ("bcmp", Class::Memory),
    ("__rust_alloc", Class::Memory),
    ("__rust_dealloc", Class::Memory),
    ("__rdl_", Class::Memory),
    ("__rust_try", Class::Library),
    ("clock_gettime", Class::Clock),
    // Before `aes` and `sha`, which are parts of these.
    ("RSA_padding", Class::Signature),
    ("RSASSA", Class::Signature),
    ("EVP_DigestSign", Class::Signature),
    ("EVP_DigestVerify", Class::Signature),
    ("EVP_PKEY_derive", Class::KeyExchange),
    ("aes", Class::Aead),
    ("gcm", Class::Aead),
    ("ghash", Class::Aead),
    ("aead", Class::Aead),
    ("AEAD", Class::Aead),
    ("hacha", Class::Aead),
    ("oly1305", Class::Aead),
    ("25519", Class::KeyExchange),
    ("kem_", Class::KeyExchange),
    ("KEM_", Class::KeyExchange),
    ("kem768", Class::KeyExchange),
    ("eccak", Class::KeyExchange),
    ("ecdh", Class::KeyExchange),
    ("ECDH", Class::KeyExchange),
    ("sha1", Class::Hash),
    ("sha256", Class::Hash),
    ("sha512", Class::Hash),
    ("SHA", Class::Hash),
    ("HMAC", Class::Hash),
    ("HKDF", Class::Hash),
    ("EVP_Digest", Class::Hash),
    ("EVP_MD", Class::Hash),
    ("rsa", Class::Signature),
    ("RSA", Class::Signature),
    ("BN_", Class::Signature),
    ("bn_", Class::Signature),
    ("mul4x_internal", Class::Signature),
    ("mont", Class::Signature),
    ("bignum_", Class::Signature),
    ("p256", Class::Signature),
    ("p384", Class::Signature),
    ("p521", Class::Signature),
    ("nistz", Class::Signature),
    ("EC_", Class::Signature),
    ("ec_", Class::Signature),
    ("ecdsa", Class::Signature),
    ("ECDSA", Class::Signature),
    ("EVP_PKEY", Class::Signature),
    ("CTR_DRBG", Class::OtherCrypto),
    ("RAND_", Class::OtherCrypto),
    ("rand", Class::OtherCrypto),
    ("jent_", Class::OtherCrypto),
    ("CRYPTO_", Class::OtherCrypto),
    ("OPENSSL_", Class::OtherCrypto),
    ("EVP_", Class::OtherCrypto),
    ("CBS_", Class::OtherCrypto),
    ("CBB_", Class::OtherCrypto),
    ("cbb_", Class::OtherCrypto),
    ("cbs_", Class::OtherCrypto),
];

/// Parts of the names of objects that are known to be libraries, and of generic Rust.
const LIBRARIES: &[&str] = &["libc.so", "libgcc_s", "libm.so", "ld-linux"];
const STANDARD: &[&str] = &["core::", "alloc::", "std::", "hashbrown::", "rustix::"];

/// The class of a function in an object.
#[must_use]
pub fn classify(object: &str, symbol: &str) -> Class {
    if let Some((_, class)) = OBJECTS.iter().find(|(part, _)| object.contains(part)) {
        return *class;
    }
    let symbol = without_prefix(symbol);
    if symbol.contains("::") {
        return of_rust(symbol);
    }
    if let Some((_, class)) = C_FUNCTIONS.iter().find(|(part, _)| symbol.contains(part)) {
        return *class;
    }
    if LIBRARIES.iter().any(|part| object.contains(part)) { Class::Library } else { Class::Other }
}

fn of_rust(symbol: &str) -> Class {
    // `xengine::` is another crate than `engine::`.
    let begins = |at: &usize| {
        let before = symbol.get(..*at).and_then(|before| before.chars().next_back());
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':')
    };
    let place = |part: &str| symbol.match_indices(part).map(|(at, _)| at).find(begins);
    let places = CRATES.iter().filter_map(|(part, class)| Some((place(part)?, *class)));
    // Of equal places the first rule: it is the more exact one.
    if let Some((_, class)) = places.min_by_key(|(at, _)| *at) {
        return class;
    }
    let standard = STANDARD.iter().any(|part| place(part).is_some());
    if standard { Class::Library } else { Class::Other }
}

/// Without what aws-lc-sys puts before every name: `aws_lc_0_39_0_`.
fn without_prefix(symbol: &str) -> &str {
    let digits = |c: char| c.is_ascii_digit() || c == '_';
    match symbol.strip_prefix("aws_lc_").filter(|rest| rest.starts_with(digits)) {
        Some(rest) => rest.trim_start_matches(digits),
        // The crate `aws_lc_rs`, among others.
        None => symbol,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_every_kind_are_known_by_their_names() {
        let bin = "/target/release/adjunct";
        for (object, symbol, class) in [
            ("[kernel.kallsyms]", "tcp_sendmsg", Class::Kernel),
            ("[vdso]", "__vdso_clock_gettime", Class::Clock),
            (bin, "aws_lc_0_39_0_aes_gcm_encrypt_avx512", Class::Aead),
            (bin, "_aesni_ctr32_ghash_6x", Class::Aead),
            (bin, "aws_lc_0_39_0_curve25519_x25519base", Class::KeyExchange),
            (bin, "aws_lc_0_39_0_sha256_block_data_order_hw", Class::Hash),
            (bin, "aws_lc_0_39_0_bn_mul_mont", Class::Signature),
            (bin, "aws_lc_0_39_0_RSA_padding_check_PKCS1_PSS_mgf1", Class::Signature),
            (bin, "aws_lc_0_39_0_OPENSSL_cleanse", Class::Memory),
            (bin, "aws_lc_0_39_0_CBS_get_u8", Class::OtherCrypto),
            (bin, "<rustls::conn::State as core::fmt::Debug>::fmt", Class::Rustls),
            (bin, "aws_lc_rs::aead::gcm::seal", Class::Aead),
            (bin, "aws_lc_rs::rand::fill", Class::OtherCrypto),
            (bin, "adjunct::net::relay::Relay::pump", Class::Server),
            (bin, "core::ptr::drop_in_place<engine::connection::Connection>", Class::Engine),
            (bin, "<alloc::vec::Vec<T> as core::clone::Clone>::clone", Class::Library),
            ("/lib/libc.so.6", "__memmove_avx_unaligned_erms", Class::Memory),
            ("/lib/libc.so.6", "_int_malloc", Class::Memory),
            ("/lib/libc.so.6", "epoll_wait", Class::Library),
            (bin, "frobnicate", Class::Other),
        ] {
            assert_eq!(classify(object, symbol), class, "{object} {symbol}");
        }
    }

    #[test]
    fn the_type_that_does_the_work_comes_first() {
        let ours = "<engine::provider::aead::Sealer as rustls::MessageEncrypter>::encrypt";
        assert_eq!(classify("", ours), Class::Engine);
        let theirs = "rustls::common_state::CommonState::send::<engine::wire::Wire>";
        assert_eq!(classify("", theirs), Class::Rustls);
        // A module of another crate with the same name.
        assert_eq!(classify("", "regex::engine::run"), Class::Other);
        assert_eq!(classify("", "rustls::webpki::verify"), Class::Rustls);
    }
}
