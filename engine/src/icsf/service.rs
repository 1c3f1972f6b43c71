//! Names of the callable services, and which operation of ours each stands for.
//!
//! The program calls none of them: they name the operation that failed the way ICSF would.
//! Source: IBM "z/OS ICSF Application Programmer's Guide".

/// A callable service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Service {
    /// Name, e.g. `CSFPPKS`.
    pub name: &'static str,
    /// What it does.
    pub meaning: &'static str,
    /// Operation of this program reported under the name; none for services only known by name.
    pub used_for: Option<&'static str>,
}

macro_rules! services {
    ($($name:ident $meaning:literal $(=> $used_for:literal)?;)*) => {
        impl Service {
            $(
                #[doc = concat!("`", stringify!($name), "`: ", $meaning, ".")]
                pub const $name: Self = Self {
                    name: stringify!($name),
                    meaning: $meaning,
                    used_for: services!(@used $($used_for)?),
                };
            )*

            /// Every service whose name we know, in alphabetical order.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
    (@used) => { None };
    (@used $used_for:literal) => { Some($used_for) };
}

services! {
    CSFIQA "query algorithms";
    CSFIQF "query facility" => "asking cards and instructions what they can do";
    CSFPDMK "PKCS #11 derive multiple keys";
    CSFPDVK "PKCS #11 derive key" => "ECDHE and hybrid key agreement, HKDF";
    CSFPGAV "PKCS #11 get attribute value";
    CSFPGKP "PKCS #11 generate key pair" => "the ephemeral key pair of a key exchange";
    CSFPGSK "PKCS #11 generate secret key" => "keys of the session ticket ring";
    CSFPHMG "PKCS #11 generate HMAC" => "HMAC in the key schedule and in Finished";
    CSFPHMV "PKCS #11 verify HMAC" => "checking a Finished value or a ticket";
    CSFPOWH "PKCS #11 one-way hash" => "the handshake transcript and digests to be signed";
    CSFPPKS "PKCS #11 private key sign" => "the signature of the server in the handshake";
    CSFPPKV "PKCS #11 public key verify" => "checking certificates and handshake signatures";
    CSFPPRF "PKCS #11 pseudo-random function" => "the TLS 1.2 PRF and random bytes";
    CSFPSAV "PKCS #11 set attribute value";
    CSFPSKD "PKCS #11 secret key decrypt" => "opening a record or a ticket";
    CSFPSKE "PKCS #11 secret key encrypt" => "sealing a record or a ticket";
    CSFPTRC "PKCS #11 token record create" => "loading a private key into the cards";
    CSFPTRD "PKCS #11 token record delete" => "removing a private key from the cards";
    CSFPTRL "PKCS #11 token record list";
    CSFPUWK "PKCS #11 unwrap key";
    CSFPWPK "PKCS #11 wrap key";
    CSNBOWH "one-way hash";
    CSNBRNG "random number generate" => "random bytes for nonces, salts and key shares";
    CSNBSYD "symmetric key decipher";
    CSNBSYE "symmetric key encipher";
    CSNDDSG "digital signature generate";
    CSNDDSV "digital signature verify";
    CSNDPKD "PKA decrypt";
    CSNDPKE "PKA encrypt";
}

impl Service {
    /// The service with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|service| service.name.eq_ignore_ascii_case(name)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_found() {
        for pair in Service::ALL.windows(2) {
            assert!(pair[0].name < pair[1].name, "{}", pair[1].name);
        }
        assert_eq!(Service::from_name("csfppks"), Some(Service::CSFPPKS));
        assert_eq!(Service::from_name("CSFNONE"), None);
    }
}
