//! The header that tells a backend who the client is.

pub mod v2;
