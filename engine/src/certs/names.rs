//! Server names: exact ones and one-label wildcards.
//!
//! Source: RFC 6125 §6.4.3 (the wildcard is the whole left-most label and stands for one label).

use std::fmt;

/// `www.example.com` or `*.example.com`, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NamePattern {
    /// This name alone.
    Exact(String),
    /// Any one label before this suffix (kept with its leading dot).
    Wildcard(String),
}

/// How well a pattern fits a name; later is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameMatch {
    /// Not at all.
    None,
    /// By wildcard.
    Wildcard,
    /// To the letter.
    Exact,
}

impl NamePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// What is wrong with it, for the person who wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let (wildcard, rest) = match name.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, name.as_str()),
        };
        if rest.is_empty() || rest.len() > 253 {
            return Err(format!("`{text}` is not a host name (empty or longer than 253 bytes)"));
        }
        for label in rest.split('.') {
            let good = !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            if !good {
                return Err(format!(
                    "`{text}` is not a host name: the label `{label}` must be 1 to 63 letters, \
                     digits or hyphens; a wildcard may only be the whole first label"
                ));
            }
        }
        if wildcard && !rest.contains('.') {
            return Err(format!("`{text}`: a wildcard needs at least two labels after it"));
        }
        Ok(if wildcard { Self::Wildcard(format!(".{rest}")) } else { Self::Exact(name) })
    }

    /// Compares with a name in lower case.
    #[must_use]
    pub fn matches(&self, name: &str) -> NameMatch {
        match self {
            Self::Exact(exact) if exact == name => NameMatch::Exact,
            Self::Wildcard(suffix) => match name.strip_suffix(suffix.as_str()) {
                Some(label) if !label.is_empty() && !label.contains('.') => NameMatch::Wildcard,
                _ => NameMatch::None,
            },
            Self::Exact(_) => NameMatch::None,
        }
    }

    /// A name that matches.
    #[must_use]
    pub fn example(&self) -> String {
        match self {
            Self::Exact(name) => name.clone(),
            Self::Wildcard(suffix) => format!("a{suffix}"),
        }
    }

    /// The best fit of several patterns.
    #[must_use]
    pub fn best(patterns: &[Self], name: &str) -> NameMatch {
        patterns.iter().map(|p| p.matches(name)).max().unwrap_or(NameMatch::None)
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Wildcard(suffix) => write!(f, "*{suffix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_exactly_one_label() {
        let pattern = NamePattern::parse("*.Example.com").unwrap();
        assert_eq!(pattern.matches("www.example.com"), NameMatch::Wildcard);
        assert_eq!(pattern.matches("a.b.example.com"), NameMatch::None);
        assert_eq!(pattern.matches("example.com"), NameMatch::None);
        assert_eq!(pattern.matches(".example.com"), NameMatch::None);
        assert_eq!(pattern.matches("wwwexample.com"), NameMatch::None);
    }

    #[test]
    fn an_exact_name_beats_a_wildcard() {
        let patterns = ["*.example.com", "www.example.com"].map(|p| NamePattern::parse(p).unwrap());
        assert_eq!(NamePattern::best(&patterns, "www.example.com"), NameMatch::Exact);
        assert_eq!(NamePattern::best(&patterns, "ftp.example.com"), NameMatch::Wildcard);
        assert_eq!(NamePattern::best(&patterns, "other"), NameMatch::None);
    }

    #[test]
    fn nonsense_is_refused_with_the_reason() {
        for bad in ["", "*", "*.", "*.com", "a..b", "www.*.com", "sp ace.com", "ü.example"] {
            assert!(NamePattern::parse(bad).is_err(), "{bad:?} was taken");
        }
    }
}
