//! Symmetric cryptography.
