//! Just enough of Rust's lexical structure to tell code from comments and literals.
//!
//! Purpose: a check for `todo!` must not stumble over the word in a comment or in a string. The
//! text keeps its length in lines, so that line numbers stay right.
//!
//! Deliberately not a parser: token trees, macros and attributes are left as they are.
//!
//! Source: The Rust Reference, "Lexical structure".

/// The text with every comment and the inside of every string and character literal blanked out.
#[must_use]
pub fn blank_comments_and_literals(text: &str) -> String {
    let mut lexer = Lexer { input: text.chars().collect(), at: 0, out: String::new() };
    lexer.run();
    lexer.out
}

struct Lexer {
    input: Vec<char>,
    at: usize,
    out: String,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> char {
        self.input.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn copy(&mut self) {
        self.out.push(self.peek(0));
        self.at += 1;
    }

    fn blank(&mut self) {
        self.out.push(if self.peek(0) == '\n' { '\n' } else { ' ' });
        self.at += 1;
    }

    fn done(&self) -> bool {
        self.at >= self.input.len()
    }

    fn run(&mut self) {
        while !self.done() {
            match (self.peek(0), self.peek(1)) {
                ('/', '/') => self.line_comment(),
                ('/', '*') => self.block_comment(),
                ('"', _) => self.string(),
                ('r' | '#', '"' | '#') if self.raw_string_hashes().is_some() => self.raw_string(),
                ('\'', _) => self.quote(),
                _ => self.copy(),
            }
        }
    }

    fn line_comment(&mut self) {
        while !self.done() && self.peek(0) != '\n' {
            self.blank();
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while !self.done() {
            match (self.peek(0), self.peek(1)) {
                ('/', '*') => {
                    depth += 1;
                    self.blank();
                    self.blank();
                }
                ('*', '/') => {
                    depth -= 1;
                    self.blank();
                    self.blank();
                    if depth == 0 {
                        return;
                    }
                }
                _ => self.blank(),
            }
        }
    }

    fn string(&mut self) {
        self.copy();
        while !self.done() {
            match self.peek(0) {
                '\\' => {
                    self.blank();
                    self.blank();
                }
                '"' => return self.copy(),
                _ => self.blank(),
            }
        }
    }

    /// The number of `#` when a raw string starts here.
    fn raw_string_hashes(&self) -> Option<usize> {
        let after_word = self.at > 0 && {
            let before = self.input[self.at - 1];
            before.is_alphanumeric() && before != 'b' && before != 'c' || before == '_'
        };
        if self.peek(0) != 'r' || after_word {
            return None;
        }
        let mut hashes = 0;
        while self.peek(1 + hashes) == '#' {
            hashes += 1;
        }
        (self.peek(1 + hashes) == '"').then_some(hashes)
    }

    fn raw_string(&mut self) {
        let hashes = self.raw_string_hashes().unwrap_or(0);
        for _ in 0..hashes + 2 {
            self.copy();
        }
        while !self.done() {
            if self.peek(0) == '"' && (1..=hashes).all(|n| self.peek(n) == '#') {
                for _ in 0..=hashes {
                    self.copy();
                }
                return;
            }
            self.blank();
        }
    }

    /// A character literal or a lifetime.
    fn quote(&mut self) {
        self.copy();
        if self.peek(0) == '\\' {
            self.blank();
            self.blank();
            while !self.done() && self.peek(0) != '\'' {
                self.blank();
            }
        } else if self.peek(1) == '\'' {
            self.blank();
        } else {
            return; // a lifetime
        }
        self.copy();
    }
}

#[cfg(test)]
mod tests {
    use super::blank_comments_and_literals as blank;

    #[test]
    fn comments_and_strings_are_blanked_and_code_is_kept() {
        let text = "let a = \"todo!\"; // todo!\n/* todo! /* */ */ todo!();\n";
        let code = blank(text);
        assert_eq!(code.matches("todo!").count(), 1);
        assert_eq!(code.lines().count(), text.lines().count());
        assert!(code.lines().nth(1).unwrap().trim().starts_with("todo!"));
    }

    #[test]
    fn quotes_inside_literals_do_not_hide_what_follows() {
        for text in [
            r#"let c = '"'; todo!()"#,
            r"let c = '\''; todo!()",
            r#"fn f<'a>(x: &'a str) { todo!() }"#,
            "let s = r#\"a \" b\"#; todo!()",
            r#"let s = "\\"; todo!()"#,
            "let s = br\"\\\"; todo!()",
            r"let c = '\u{7f}'; todo!()",
            "for x in y { var\"x\"; todo!() }",
        ] {
            assert!(blank(text).contains("todo!"), "{text}");
        }
    }

    #[test]
    fn what_stands_inside_a_raw_string_is_not_code() {
        assert!(!blank("let s = r##\"todo!() \"# todo!()\"##;").contains("todo!"));
    }
}
