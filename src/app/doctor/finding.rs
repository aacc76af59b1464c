//! What the doctor finds: a check, how it ended, and what to do.

use crate::app::json::{maybe, object, string};
use crate::app::text::printable;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// As it should be.
    Good,
    /// Something may surprise somebody.
    Warning,
    /// Something will not work.
    Problem,
    /// It was not looked at.
    Skipped,
}

impl Outcome {
    pub(super) fn name(self) -> &'static str {
        match self {
            Outcome::Good => "ok",
            Outcome::Warning => "warning",
            Outcome::Problem => "problem",
            Outcome::Skipped => "skipped",
        }
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// Its name, for scripts.
    pub(super) check: &'static str,
    /// Which of several buckets it is about.
    pub(super) bucket: Option<String>,
    pub(super) outcome: Outcome,
    /// What was found, and what it means.
    pub(super) says: String,
    /// The command that mends it.
    pub(super) command: Option<String>,
}

impl Finding {
    pub(super) fn good(check: &'static str, says: impl Into<String>) -> Finding {
        let (bucket, command) = (None, None);
        Finding { check, bucket, outcome: Outcome::Good, says: says.into(), command }
    }

    pub(super) fn warning(check: &'static str, says: impl Into<String>) -> Finding {
        Finding { outcome: Outcome::Warning, ..Finding::good(check, says) }
    }

    pub(super) fn problem(check: &'static str, says: impl Into<String>) -> Finding {
        Finding { outcome: Outcome::Problem, ..Finding::good(check, says) }
    }

    pub(super) fn skipped(check: &'static str, says: impl Into<String>) -> Finding {
        Finding { outcome: Outcome::Skipped, ..Finding::good(check, says) }
    }

    /// The same, with what mends it.
    pub(super) fn mended_by(self, command: impl Into<String>) -> Finding {
        Finding { command: Some(command.into()), ..self }
    }

    /// The same, about one of several buckets.
    pub(super) fn about(self, bucket: &str) -> Finding {
        Finding { bucket: Some(bucket.to_owned()), ..self }
    }

    /// A line for people, and another one for the command.
    pub(super) fn for_people(&self) -> String {
        let about = self.bucket.as_ref().map(|bucket| format!("{bucket}: ")).unwrap_or_default();
        let says = printable(&format!("{about}{}", self.says)).to_string();
        let line = format!("{:<8} {:<16} {says}\n", self.outcome.name(), self.check);
        match &self.command {
            Some(command) => format!("{line}{:<25} try: {}\n", "", printable(command)),
            None => line,
        }
    }

    pub(super) fn for_programs(&self) -> String {
        object([
            ("check", string(self.check)),
            ("bucket", maybe(self.bucket.as_deref().map(string))),
            ("outcome", string(self.outcome.name())),
            ("says", string(&self.says)),
            ("command", maybe(self.command.as_deref().map(string))),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_a_line_and_its_command_another() {
        let finding = Finding::problem("x", "a\u{1b}b").mended_by("do it");
        let spaces = " ".repeat(25);
        assert_eq!(
            finding.for_people(),
            format!("problem  x                a\\u{{1b}}b\n{spaces} try: do it\n")
        );
        assert_eq!(
            Finding::good("y", "z").for_programs(),
            r#"{"check": "y", "bucket": null, "outcome": "ok", "says": "z", "command": null}"#
        );
        let about = Finding::good("y", "z").about("s3://a");
        assert_eq!(about.for_people(), "ok       y                s3://a: z\n");
        assert!(about.for_programs().contains(r#""bucket": "s3://a""#));
    }
}
