//! Connection records as they stand in the log, read back.
//!
//! Purpose: one place that knows the field names, so that a test reads as a sentence and a renamed
//! field breaks here.

use serde_json::Value;

/// One line of the JSON log.
#[derive(Debug, Clone, PartialEq)]
pub struct Record(pub Value);

impl Record {
    /// A field: by its flat name (`tls.cipher`), else by following the dots.
    #[must_use]
    pub fn field(&self, name: &str) -> &Value {
        if let Some(value) = self.0.get(name) {
            return value;
        }
        let mut value = &self.0;
        for part in name.split('.') {
            value = value.get(part).unwrap_or(&Value::Null);
        }
        value
    }

    /// A field that is a text, else the empty text.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.field(name).as_str().unwrap_or_default()
    }

    /// A field that is a number, else 0.
    #[must_use]
    pub fn number(&self, name: &str) -> u64 {
        self.field(name).as_u64().unwrap_or_default()
    }

    /// Whether this is the record of a connection rather than an event of the daemon.
    #[must_use]
    pub fn is_connection(&self) -> bool {
        self.0.get("conn_id").is_some() && self.0.get("outcome").is_some()
    }

    /// What became of the connection.
    #[must_use]
    pub fn outcome(&self) -> &str {
        self.text("outcome")
    }

    /// The service that was chosen.
    #[must_use]
    pub fn service(&self) -> &str {
        self.text("service")
    }

    /// Protocol version.
    #[must_use]
    pub fn version(&self) -> &str {
        self.text("tls.protocol.version")
    }

    /// Cipher suite, IANA name.
    #[must_use]
    pub fn suite(&self) -> &str {
        self.text("tls.cipher")
    }

    /// Key exchange group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.text("tls.curve")
    }

    /// Whether the session was resumed.
    #[must_use]
    pub fn resumed(&self) -> bool {
        self.field("tls.resumed").as_bool().unwrap_or(false)
    }

    /// Number of the alert that was sent; none when none was.
    #[must_use]
    pub fn alert_sent(&self) -> Option<u64> {
        self.field("alert_sent").as_u64()
    }

    /// The whole line.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.0.to_string()
    }

    /// Asserts the value of a text field.
    #[track_caller]
    pub fn expect(&self, name: &str, value: &str) -> &Self {
        assert_eq!(self.text(name), value, "{name} in {}", self.0);
        self
    }

    /// Asserts that reason and hint together mention `word`, whatever its case.
    #[track_caller]
    pub fn explains(&self, word: &str) -> &Self {
        let text = format!("{} {}", self.text("reason"), self.text("hint")).to_lowercase();
        assert!(text.contains(&word.to_lowercase()), "{word:?} is not explained in {}", self.0);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_flat_and_nested() {
        let flat = Record(serde_json::json!({"tls.cipher": "A", "conn_id": 1, "outcome": "x"}));
        let nested = Record(serde_json::json!({"tls": {"protocol": {"version": "B"}}}));
        assert_eq!((flat.suite(), nested.version()), ("A", "B"));
        assert!(flat.is_connection() && !nested.is_connection());
        assert!(!nested.resumed());
    }
}
