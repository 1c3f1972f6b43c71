//! `adjunct explain CODE`.

use super::{complain, print, print_json};
use crate::exit::Exit;
use crate::glue::{self, Answer};

pub(super) fn explain(code: &str, json: bool) -> Exit {
    match glue::explain(code) {
        Ok(answers) if json => print_json(&answers),
        Ok(answers) => {
            print(&text(&answers));
            Exit::Ok
        }
        Err(unknown) => {
            complain(&format!("adjunct: {unknown}"));
            Exit::Usage
        }
    }
}

fn text(answers: &[Answer]) -> String {
    let one = |answer: &Answer| {
        let Answer { title, meaning, action, source } = answer;
        format!("{title}\n    meaning  {meaning}\n    action   {action}\n    source   {source}\n")
    };
    answers.iter().map(one).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::{Answer, text};

    #[test]
    fn every_reading_of_a_number_is_shown() {
        let answer = |title: &str| Answer {
            title: title.into(),
            meaning: "m".into(),
            action: "a".into(),
            source: "s".into(),
        };
        let text = text(&[answer("GSK 40"), answer("alert 40")]);
        assert!(
            text.starts_with("GSK 40\n    meaning  m\n    action   a\n    source   s\n\nalert")
        );
    }
}
