//! Private-key cryptography.
